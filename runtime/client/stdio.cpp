#include "runtime/client/stdio.hpp"

#include "actors/base/name_rules.hpp"
#include "runtime/client/client.hpp"
#include "runtime/client/proxy_handler.hpp"
#include "runtime/os/descriptor.hpp"
#include "runtime/server/rpc/dispatch.hpp"
#include "runtime/server/rpc/mcp.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

namespace sluice {

namespace {

namespace asio = boost::asio;

// The maximum number of reads and writes that wait for answers concurrently; further ones wait for these. `cancel` and
// the like are not delayed by them.
constexpr size_t max_waiting = 32;
constexpr size_t max_control = 4;

void print_line(const std::string& line) {
  if (line.empty())
    return;
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

// The bytes and requests under way, and their limits; beyond these stdin is not read. Thread-safe.
class request_room {
public:
  void enter(size_t bytes) {
    std::unique_lock held{mutex_};
    left_.wait(held, [&] { return requests_ == 0 || (requests_ < max_requests && bytes_ + bytes <= max_bytes); });
    ++requests_;
    bytes_ += bytes;
  }

  void leave(size_t bytes) {
    std::lock_guard held{mutex_};
    --requests_;
    bytes_ -= bytes;
    left_.notify_one();
  }

private:
  static constexpr size_t max_requests = 1'024;
  static constexpr size_t max_bytes = size_t{64} << 20;

  std::mutex mutex_;
  std::condition_variable left_;
  size_t requests_ = 0;
  size_t bytes_ = 0;
};

// Calls `gone` when stdout has been closed by its reader.
class reader_watch {
public:
  explicit reader_watch(std::function<void()> gone)
    : end_(eventfd(0, EFD_CLOEXEC)), watch_([this, gone = std::move(gone)] { run(gone); }) {}
  reader_watch(const reader_watch&) = delete;
  reader_watch& operator=(const reader_watch&) = delete;

  ~reader_watch() {
    eventfd_write(end_.get(), 1);
    watch_.join();
  }

private:
  void run(const std::function<void()>& gone) const {
    // Reports a closed pipe or socket; a file or a terminal reports nothing.
    std::array<pollfd, 2> watched{{{STDOUT_FILENO, 0, 0}, {end_.get(), POLLIN, 0}}};
    while (poll(watched.data(), watched.size(), -1) < 0 && errno == EINTR) {
    }
    if (watched[0].revents != 0)
      gone();
  }

  descriptor end_;
  std::thread watch_;
};

} // namespace

caf::expected<void> serve_stdio(const std::filesystem::path& root, std::function<void(std::string_view)> warn,
                                bridge_rights rights) {
  if (auto reason = agent_name_error(rights.agent))
    return make_error(errc::invalid_request, "agent " + *reason);
  client_options options;
  options.warn = std::move(warn);
  auto store = open_client(root, std::move(options));
  if (!store)
    return std::move(store.error());
  reader_watch watch{[&] { (*store)->close(); }};
  asio::io_context loop{1};
  asio::thread_pool waiting{max_waiting};
  asio::thread_pool control{max_control};
  rpc::mcp_settings settings;
  settings.version = SLUICE_VERSION;
  settings.pass_through = true;
  settings.read_only = rights.read_only;
  if (!rights.agent.empty()) {
    settings.agent = rights.agent;
    settings.is_bound = true;
  }
  auto methods =
    rpc::make_mcp(std::make_unique<proxy_handler>(**store, loop, waiting, control, std::move(rights)), settings);
  request_room room;
  // Otherwise each read of a line waits until the answers before it have been written.
  std::cin.tie(nullptr);
  std::thread read{[&, busy = asio::make_work_guard(loop)]() mutable {
    for (std::string line; std::getline(std::cin, line);) {
      if (line.find_first_not_of(" \t\r") == std::string::npos)
        continue;
      room.enter(line.size());
      asio::post(loop, [&, text = std::move(line)] {
        rpc::dispatch(text, *methods, [&room, bytes = text.size()](const std::string& answer) {
          print_line(answer);
          room.leave(bytes);
        });
      });
    }
    busy.reset();
  }};
  loop.run();
  read.join();
  waiting.join();
  control.join();
  return caf::unit;
}

} // namespace sluice
