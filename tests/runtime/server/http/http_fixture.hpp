#pragma once

#include "runtime/server/http/server.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cctype>
#include <future>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace sluice::test {

inline const std::string token(64, 'a');

/// A broker with the methods `echo` (returns its params) and `hold` (`release` answers it) only.
class fake_backend final : public http::backend {
public:
  std::unique_ptr<rpc::handler> open_handler(const std::string& token_name) override {
    opened_with = token_name;
    return std::make_unique<port>(*this);
  }
  void check_health(std::function<void(http::health)> done) override { done(state); }
  void metrics(std::function<void(std::string)> done) override { done("sluice_up 1\n"); }

  http::health state{true, ""};
  std::vector<rpc::answer_to> held;
  std::atomic<int> open_ports = 0;
  /// The name of the token of the last request; read it when that has been answered.
  std::string opened_with;
  std::function<void()> on_held = [] {};
  std::function<void()> on_port_closed = [] {};

private:
  struct port final : rpc::handler {
    explicit port(fake_backend& backend) : owner(backend) { ++owner.open_ports; }
    ~port() override {
      --owner.open_ports;
      owner.on_port_closed();
    }
    void call(const std::string& method, nlohmann::json params, rpc::answer_to done) override {
      if (method == "hold") {
        owner.held.push_back(std::move(done));
        return owner.on_held();
      }
      rpc::answer result;
      if (method == "echo")
        result.result = std::move(params);
      else
        result.error = rpc::error{rpc::method_not_found, "unknown method", nullptr};
      done(std::move(result));
    }
    fake_backend& owner;
  };
};

/// A server on a free port of 127.0.0.1, and the thread that runs it.
class running_server {
public:
  explicit running_server(http::settings settings = {}) {
    settings.token = token;
    settings.version = "1.2.3";
    auto result = http::server::listen(loop, std::move(settings), backend);
    if (!result)
      throw std::runtime_error(describe(result.error()).message);
    server = std::move(*result);
    port = server->port();
    thread = std::thread{[this] { loop.run(); }};
  }

  /// Runs `function` on the server's thread and waits for it.
  template <class Function> auto run(Function function) {
    std::packaged_task<decltype(function())()> task{std::move(function)};
    auto result = task.get_future();
    boost::asio::post(loop, [&task] { task(); });
    return result.get();
  }

  ~running_server() {
    run([this] { server.reset(); });
    work.reset();
    thread.join();
  }

  /// Calls `start` on the server's thread and waits until `event` was called there.
  void await(std::function<void()>& event, const std::function<void()>& start) {
    std::promise<void> happened;
    run([&] {
      event = [&happened, &event] {
        auto& reached = happened;
        // Ends this function object, too.
        event = [] {};
        reached.set_value();
      };
    });
    start();
    if (happened.get_future().wait_for(std::chrono::seconds{60}) != std::future_status::ready)
      throw std::runtime_error("the event did not happen");
  }

  /// Answers the call that was held first.
  void release(const nlohmann::json& result) {
    run([&] {
      auto done = std::move(backend.held.front());
      backend.held.erase(backend.held.begin());
      done({result, {}});
    });
  }

  boost::asio::io_context loop{1};
  fake_backend backend;
  std::unique_ptr<http::server> server;
  uint16_t port = 0;

private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{loop.get_executor()};
  std::thread thread;
};

struct reply {
  int status = 0;
  std::map<std::string, std::string> fields;
  std::string body;

  std::string field(const std::string& name) const { return fields.contains(name) ? fields.at(name) : ""; }
  std::string code() const { return nlohmann::json::parse(body)["error"]["code"]; }
};

/// A client that sends the given bytes unchanged. No call waits for longer than a minute.
class raw_client {
public:
  explicit raw_client(uint16_t port, int receive_buffer = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0)
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    timeval longest{60, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
    int at_once = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
      throw std::runtime_error("cannot connect");
  }
  raw_client(const raw_client&) = delete;
  ~raw_client() { close(); }

  void close() {
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
  }
  void finish_sending() { shutdown(fd_, SHUT_WR); }

  /// False when the other side has closed.
  bool send(std::string_view text) {
    while (!text.empty()) {
      auto size = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (size < 0)
        return false;
      text.remove_prefix(static_cast<size_t>(size));
    }
    return true;
  }

  /// The next answer; with `to_head` it has no body, regardless of its header.
  reply receive(bool to_head = false) {
    auto end = need("\r\n\r\n");
    reply result;
    auto head = take(end + 4);
    if (!head.starts_with("HTTP/1.1 "))
      throw std::runtime_error("the answer begins with something else");
    result.status = std::stoi(head.substr(9, 3));
    for (auto at = head.find("\r\n") + 2; at + 2 < head.size();) {
      auto line = head.substr(at, head.find("\r\n", at) - at);
      auto colon = line.find(": ");
      std::transform(line.begin(), line.begin() + static_cast<long>(colon), line.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      result.fields[line.substr(0, colon)] = line.substr(colon + 2);
      at += line.size() + 2;
    }
    if (to_head || !result.fields.contains("content-length"))
      return result;
    auto size = std::stoul(result.fields["content-length"]);
    while (in_.size() < size)
      if (!more())
        throw std::runtime_error("the answer is cut");
    result.body = take(size);
    return result;
  }

  /// Whether the other side has closed without another byte; waits for it.
  bool ended() { return in_.empty() && !more(); }

private:
  bool more() {
    char bytes[4096];
    auto size = recv(fd_, bytes, sizeof bytes, 0);
    if (size < 0 && errno == EAGAIN)
      throw std::runtime_error("nothing came for a minute");
    if (size <= 0)
      return false;
    in_.append(bytes, static_cast<size_t>(size));
    return true;
  }

  size_t need(std::string_view mark) {
    for (;;) {
      auto at = in_.find(mark);
      if (at != std::string::npos)
        return at;
      if (!more())
        throw std::runtime_error("the connection ended without an answer");
    }
  }

  std::string take(size_t size) {
    auto result = in_.substr(0, size);
    in_.erase(0, size);
    return result;
  }

  int fd_;
  std::string in_;
};

/// A request as the tests send it, changed by its methods.
struct request {
  std::string method = "POST";
  std::string target = "/rpc";
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;

  static request post(std::string target, std::string body, uint16_t port) {
    return {"POST",
            std::move(target),
            std::move(body),
            {{"Host", "127.0.0.1:" + std::to_string(port)},
             {"Authorization", "Bearer " + token},
             {"Content-Type", "application/json"}}};
  }
  static request get(std::string target, uint16_t port) {
    return {"GET",
            std::move(target),
            "",
            {{"Host", "127.0.0.1:" + std::to_string(port)}, {"Authorization", "Bearer " + token}}};
  }

  request with(const std::string& name, const std::string& value) const {
    auto result = without(name);
    result.fields.emplace_back(name, value);
    return result;
  }
  request without(const std::string& name) const {
    auto result = *this;
    std::erase_if(result.fields, [&](const auto& f) { return f.first == name; });
    return result;
  }
  std::string header() const {
    auto result = method + " " + target + " HTTP/1.1\r\n";
    for (const auto& [name, value] : fields)
      result += name + ": " + value + "\r\n";
    if (method == "POST")
      result += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return result + "\r\n";
  }
  std::string text() const { return header() + body; }
};

/// Without `params` if they are null.
inline std::string call(const std::string& method, const nlohmann::json& params = {}, const nlohmann::json& id = 1) {
  nlohmann::json document{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}};
  if (!params.is_null())
    document["params"] = params;
  return document.dump();
}

inline reply ask(uint16_t port, const request& request) {
  raw_client client{port};
  client.send(request.text());
  return client.receive(request.method == "HEAD");
}

} // namespace sluice::test
