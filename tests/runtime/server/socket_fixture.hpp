#pragma once

#include "runtime/server/socket_server.hpp"
#include "tests/support/temp_dir.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cstring>
#include <future>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace sluice::test {

/// A handler: `echo` returns its params, the test answers `hold`, `big` returns a text of the given length.
class echo_handler final : public rpc::handler {
public:
  echo_handler(std::vector<rpc::answer_to>& held, bool& held_back, int& left)
    : held_(held), held_back_(held_back), left_(left) {}

  void hold(bool is_behind) override { held_back_ = is_behind; }
  void leave() override { ++left_; }

  void call(const std::string& method, nlohmann::json params, rpc::answer_to done) override {
    if (method == "hold")
      held_.push_back(std::move(done));
    else if (method == "big")
      done({std::string(params.at(0).get<size_t>(), 'x'), std::nullopt});
    else
      done({std::move(params), std::nullopt});
  }

private:
  std::vector<rpc::answer_to>& held_;
  bool& held_back_;
  int& left_;
};

/// A socket server in a fresh folder, with a thread that runs its loop.
class socket_fixture {
public:
  explicit socket_fixture(broker_config settings = {}) : config(std::move(settings)) {
    auto open = [this](peer_identity peer, socket_server::pusher push) {
      peers.push_back(peer);
      pushers.push_back(std::move(push));
      return std::make_unique<echo_handler>(held, held_back, left);
    };
    auto listening = socket_server::listen(loop, path(), config, open);
    if (!listening)
      FAIL(describe(listening.error()).message);
    server = std::move(*listening);
    thread = std::thread{[this] { loop.run(); }};
  }

  ~socket_fixture() {
    loop.stop();
    thread.join();
  }

  /// Runs a function on the loop's thread and waits for it.
  template <class Function> auto on_loop(Function f) {
    std::packaged_task<decltype(f())()> task{f};
    auto result = task.get_future();
    boost::asio::post(loop, [&task] { task(); });
    return result.get();
  }

  std::filesystem::path path() const { return folder.path() / "broker.sock"; }

  temp_dir folder;
  broker_config config;
  boost::asio::io_context loop{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{loop.get_executor()};
  std::vector<rpc::answer_to> held;
  // The last `hold` of the handlers, and the number of those whose client has gone.
  bool held_back = false;
  int left = 0;
  std::vector<peer_identity> peers;
  std::vector<socket_server::pusher> pushers;
  std::unique_ptr<socket_server> server;
  std::thread thread;
};

/// A client that sends any bytes, and reads only when the test does.
class raw_line_client {
public:
  explicit raw_line_client(const std::filesystem::path& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
  }
  raw_line_client(const raw_line_client&) = delete;
  raw_line_client& operator=(const raw_line_client&) = delete;
  ~raw_line_client() {
    if (fd_ >= 0)
      close(fd_);
  }

  bool connected() const noexcept { return connected_; }

  /// False when the other side has closed.
  bool send(std::string_view text) {
    while (!text.empty()) {
      auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0)
        return false;
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  void half_close() { shutdown(fd_, SHUT_WR); }

  /// Closes the connection, as the end of the process would.
  void reset() { close(std::exchange(fd_, -1)); }

  /// The next line without its end; empty at the end of the stream. Fails the test after a minute of silence.
  std::string line() {
    for (;;) {
      if (auto end = buffer_.find('\n'); end != std::string::npos) {
        auto result = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return result;
      }
      pollfd ready{fd_, POLLIN, 0};
      if (poll(&ready, 1, 60'000) == 0)
        FAIL("no answer within a minute");
      char bytes[4096];
      auto size = recv(fd_, bytes, sizeof bytes, 0);
      if (size <= 0)
        return {};
      buffer_.append(bytes, static_cast<size_t>(size));
    }
  }

  nlohmann::json answer() {
    auto text = line();
    return text.empty() ? nlohmann::json{} : nlohmann::json::parse(text);
  }

private:
  int fd_;
  bool connected_;
  std::string buffer_;
};

inline std::string request_line(int id, const std::string& method,
                                const nlohmann::json& params = nlohmann::json::array()) {
  return nlohmann::json{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}.dump() + "\n";
}

} // namespace sluice::test
