#include "runtime/server/in_process.hpp"

#include "runtime/os/user_name.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/methods.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <future>
#include <memory>
#include <unistd.h>
#include <utility>

namespace sluice {

namespace {

namespace asio = boost::asio;
using nlohmann::json;

broker_info info_of(const broker& leader) {
  broker_info info;
  info.pid = getpid();
  info.version = SLUICE_VERSION;
  info.root = leader.root().identity();
  info.is_in_process = true;
  return info;
}

caf::expected<json> result_of(rpc::answer response) {
  if (response.error)
    return make_error(rpc::failure_from_json(
      {{"code", response.error->code}, {"message", response.error->message}, {"data", response.error->data}}));
  return response.text.empty() ? std::move(response.result) : json::parse(response.text);
}

} // namespace

// Only the host of this process can end the broker.
in_process_methods::in_process_methods(broker& leader)
  : info_(info_of(leader)), actor_(leader.system(), loop_),
    service_(leader, info_, loop_, *actor_.get(), [](std::string_view) {}),
    handler_(service_.open_handler({.agent = "anonymous", .own_name = fmt::format("{}@{}", user_name(), getpid())})),
    thread_([this] { loop_.run(); }) {}

in_process_methods::~in_process_methods() {
  loop_.stop();
  thread_.join();
}

caf::expected<json> in_process_methods::call(const std::string& method, json params) {
  const auto* known = rpc::find_method(method);
  auto needs_process = known && (known->needs_connection || known->type == request_type::shutdown);
  auto answer = std::make_shared<std::promise<caf::expected<json>>>();
  auto result = answer->get_future();
  asio::post(loop_, [this, answer, needs_process, method, params = std::move(params)]() mutable {
    if (needs_process) {
      auto error = make_error(errc::route_required, method + " needs a broker, and none is running");
      handler_->note_refusal(method, params, rpc::error_of(describe(error)));
      return answer->set_value(std::move(error));
    }
    handler_->call(method, std::move(params), [answer](rpc::answer x) { answer->set_value(result_of(std::move(x))); });
  });
  return result.get();
}

void in_process_methods::leave() {
  asio::post(loop_, [this] { handler_->leave(); });
}

} // namespace sluice
