#pragma once

#include "runtime/json/json.hpp"
#include "runtime/os/descriptor.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace sluice::test {

/// One client of a fake leader. Thread-safe.
class fake_connection {
public:
  fake_connection(int fd, int number) : number_(number), socket_(fd) {}

  /// Counted from 1.
  int number() const noexcept { return number_; }

  /// Sends bytes as they are; blocks while the client does not read.
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0)
        return;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }

  void say(const nlohmann::json& document) { send(dump(document) + "\n"); }

  void answer(const nlohmann::json& request, nlohmann::json result) {
    say({{"id", request.at("id")}, {"jsonrpc", "2.0"}, {"result", std::move(result)}});
  }

  /// Answers with an error; `data` has its members besides the code.
  void fail(const nlohmann::json& request, std::string_view code, nlohmann::json data = nlohmann::json::object()) {
    data["code"] = code;
    if (!data.contains("outcome"))
      data["outcome"] = "not_committed";
    say({{"id", request.at("id")},
         {"jsonrpc", "2.0"},
         {"error", {{"code", -32000}, {"message", std::string{code}}, {"data", std::move(data)}}}});
  }

  void hang_up() { shutdown(socket_.get(), SHUT_RDWR); }

  /// The next line of the client; false at the end.
  bool next(std::string& line) {
    for (;;) {
      if (auto end = in_.find('\n'); end != std::string::npos) {
        line = in_.substr(0, end);
        in_.erase(0, end + 1);
        return true;
      }
      std::array<char, 65536> bytes{};
      auto count = recv(socket_.get(), bytes.data(), bytes.size(), 0);
      if (count <= 0)
        return false;
      in_.append(bytes.data(), static_cast<size_t>(count));
    }
  }

private:
  int number_;
  descriptor socket_;
  std::string in_;
};

/// A socket that answers as a leader would, or as none should: each request goes to `script`, in a thread of its
/// connection. Without `greet`, greetings are accepted, as by the leader of any requested store.
class fake_leader {
public:
  using script = std::function<void(const nlohmann::json& request, fake_connection& from)>;

  fake_leader(std::filesystem::path path, script answer, script greet = {})
    : path_(std::move(path)), answer_(std::move(answer)), greet_(std::move(greet)),
      listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    unlink(path_.c_str());
    if (bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0
        || listen(listener_.get(), 64) != 0)
      throw std::runtime_error("the fake leader cannot listen");
    accepting_ = std::thread{[this] { accept_all(); }};
  }

  fake_leader(const fake_leader&) = delete;
  fake_leader& operator=(const fake_leader&) = delete;

  /// Stops as if it was killed: the socket file stays.
  ~fake_leader() {
    shutdown(listener_.get(), SHUT_RDWR);
    accepting_.join();
    for (auto& each : served_) {
      each.connection->hang_up();
      each.thread.join();
    }
  }

  int connections() const noexcept { return connections_; }
  int greetings() const noexcept { return greetings_; }

  /// The requests in their order of arrival, without greetings.
  std::vector<nlohmann::json> requests() const {
    std::lock_guard held{mutex_};
    return requests_;
  }

  void await_requests(size_t count) const {
    std::unique_lock held{mutex_};
    came_.wait(held, [&] { return requests_.size() >= count; });
  }

private:
  struct served {
    std::shared_ptr<fake_connection> connection;
    std::thread thread;
  };

  void accept_all() {
    for (int fd = 0; (fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      auto connection = std::make_shared<fake_connection>(fd, ++connections_);
      served_.push_back({connection, std::thread{[this, connection] { serve(*connection); }}});
    }
  }

  static nlohmann::json friendly(const nlohmann::json& request) {
    nlohmann::json result{{"protocol", 1}};
    if (request.at("params").contains("root"))
      result["root"] = request["params"]["root"];
    return result;
  }

  void serve(fake_connection& connection) {
    for (std::string line; connection.next(line);) {
      auto request = nlohmann::json::parse(line);
      if (request.at("method") == "hello") {
        ++greetings_;
        greet_ ? greet_(request, connection) : connection.answer(request, friendly(request));
        continue;
      }
      {
        std::lock_guard held{mutex_};
        requests_.push_back(request);
        came_.notify_all();
      }
      answer_(request, connection);
    }
    connection.hang_up();
  }

  std::filesystem::path path_;
  script answer_;
  script greet_;
  descriptor listener_;
  std::atomic<int> connections_ = 0;
  std::atomic<int> greetings_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable came_;
  std::vector<nlohmann::json> requests_;
  std::vector<served> served_;
  std::thread accepting_;
};

/// A leader's answer to a write.
inline nlohmann::json committed(uint64_t seq, bool replayed = false) {
  return {{"outcome", "committed"},
          {"replayed", replayed},
          {"commit_seq", seq},
          {"request_id", "r"},
          {"results", nlohmann::json::array()}};
}

/// A leader's answer to a read of one number.
inline nlohmann::json one_row(int64_t number) {
  return {{"columns", {"n"}}, {"rows", {{number}}}, {"truncated", false}, {"source", "cache"}, {"as_of_seq", 1}};
}

} // namespace sluice::test
