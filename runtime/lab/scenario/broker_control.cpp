#include "runtime/lab/scenario/broker_control.hpp"

#include "messages/error.hpp"
#include "runtime/lab/scenario/fault_injection.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace sluice::scenario {

namespace {

using nlohmann::json;

constexpr std::chrono::seconds successor_limit{10};

} // namespace

broker_control::broker_control() = default;

broker_control::~broker_control() { end(); }

caf::expected<void> broker_control::begin(const std::filesystem::path& controller, broker& leader) {
  auto link = control_socket::connect(controller);
  if (!link)
    return std::move(link.error());
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    return make_error(errc::io_error,
                      "cannot create the pipe of the control thread: " + std::generic_category().message(errno));
  stopped_ = descriptor{ends[0]};
  stop_ = descriptor{ends[1]};
  controller_ = std::move(*link);
  leader_ = &leader;
  thread_ = std::thread{[this] { run(); }};
  return {};
}

void broker_control::end() {
  if (!thread_.joinable())
    return;
  stop_.reset();
  thread_.join();
}

void broker_control::run() {
  while (auto command = controller_.receive(no_limit, stopped_.get()))
    if (!controller_.send(answer_document(execute(*command))))
      return;
}

caf::expected<json> broker_control::execute(const json& command) {
  if (command.value("do", "") != "kill")
    return break_disk(disk_, command);
  auto replaced = kill_actor(leader_->actors(), command);
  if (!replaced)
    return std::move(replaced.error());
  for (auto limit = std::chrono::steady_clock::now() + successor_limit; !(*replaced)();
       std::this_thread::sleep_for(std::chrono::milliseconds{1}))
    if (std::chrono::steady_clock::now() >= limit)
      return make_error(errc::internal, "the killed actor has not been restarted");
  return json::object();
}

} // namespace sluice::scenario
