#include "runtime/lab/scenario/listener.hpp"

#include "messages/error.hpp"
#include "runtime/client/connect.hpp"
#include "runtime/server/endpoint.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <array>
#include <chrono>
#include <fcntl.h>

namespace sluice::scenario {

namespace {

using nlohmann::json;

constexpr std::chrono::seconds answer_limit{30};

} // namespace

listener::~listener() {
  stop_.reset();
  if (thread_.joinable())
    thread_.join();
}

caf::expected<descriptor> connect_to_broker(const std::filesystem::path& store) {
  auto root = store_root::open(store);
  if (!root)
    return std::move(root.error());
  for (const auto& socket : leader_sockets(*root)) {
    auto connection = connect_to(socket.path);
    if (!connection)
      return std::move(connection.error());
    if (*connection)
      return std::move(**connection);
  }
  return make_error(errc::unavailable, "no broker answers at the socket");
}

caf::expected<json> listener::begin(const json& params) {
  auto connection = connect_to_broker(root_);
  if (!connection)
    return std::move(connection.error());
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    return make_error(errc::unavailable, "there are no more descriptors");
  stopped_ = descriptor{ends[0]};
  stop_ = descriptor{ends[1]};
  link_ = line_link{std::move(*connection), descriptor{}};
  link_.send({{"jsonrpc", "2.0"}, {"id", 1}, {"method", "subscribe"}, {"params", params}});
  auto answer = link_.receive(answer_limit);
  if (!answer)
    return make_error(errc::unavailable, "the connection was lost before the answer came");
  if (auto error = answer->find("error"); error != answer->end())
    return make_error(rpc::failure_from_json(*error));
  thread_ = std::thread{[this] { listen(); }};
  return answer->at("result");
}

void listener::listen() {
  while (auto message = link_.receive(no_limit, stopped_.get()))
    if (auto params = message->find("params"); params != message->end())
      on_notification_(*params);
  on_notification_({{"reason", "the connection was lost"}});
}

} // namespace sluice::scenario
