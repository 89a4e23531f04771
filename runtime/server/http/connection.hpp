#pragma once

#include "runtime/server/http/backend.hpp"
#include "runtime/server/http/request_filter.hpp"
#include "runtime/server/http/settings.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sluice::http {

class connection;

/// The state that the connections of one server share. Used by the loop's thread.
struct shared {
  const http::settings settings;
  backend& behind;
  const request_filter filter;
  /// The bytes of bodies that are being received or processed, over all connections.
  size_t inflight_bytes = 0;
  std::chrono::steady_clock::time_point last_active{};
  /// Called when a connection has ended.
  std::function<void(connection&)> ended;
};

/// One client: its requests are answered one after the other, in the order in which it sent them. It is closed when it
/// is too slow in sending a request or in reading an answer. Owned by its server and by the operations under way; used
/// by the loop's thread.
///
/// A client that closes its side of the connection while a request is under way counts as gone, as in other servers:
/// the handler of the request is destroyed.
class connection : public std::enable_shared_from_this<connection> {
public:
  using socket_type = boost::asio::ip::tcp::socket;

  connection(socket_type socket, shared& common);

  /// Takes requests from now on.
  void start();

  /// Sends the error, and ends the connection.
  void refuse(const refusal& error);

  /// Ends when the request under way, if any, has been answered.
  void drain();

  /// Ends the connection at once. Drops answers of the handler.
  void close();

private:
  using error_code = boost::system::error_code;
  using parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  template <class... Args> auto then(void (connection::*next)(Args...));
  void arm(std::chrono::milliseconds timeout);
  void wake_after(std::chrono::milliseconds time);
  void disarm();
  void timed_out();

  void await_request(std::chrono::milliseconds timeout);
  void on_input(error_code failed);
  void on_header(error_code failed, size_t);
  bool reserve_body();
  void ask_for_body();
  void on_asked(error_code failed, size_t);
  void on_request(error_code failed, size_t);
  void on_malformed(error_code failed);
  void handle(std::string body);
  std::unique_ptr<rpc::handler> open_mcp(const std::string& token);
  void answer_rpc(const std::string& text);
  void answer_mcp(const std::string& text);
  void answer_health(const health& health);
  void answer_metrics(const std::string& text);
  template <class Answer> auto answer_with(void (connection::*give)(const Answer&));
  void watch();
  void on_watched(error_code failed);
  void send(response answer);
  void on_sent(error_code failed, size_t);
  void release_request();
  void linger();
  void on_discarded(error_code failed, size_t);
  void reset();

  socket_type socket_;
  shared& shared_;
  boost::asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<parser> parser_;
  route route_ = route::rpc;
  std::unique_ptr<rpc::handler> port_;
  response response_;
  size_t reserved_ = 0;
  // Distinguishes the current time-out from earlier ones.
  uint64_t timer_serial_ = 0;
  bool idle_ = false;
  bool expired_ = false;
  bool calling_ = false;
  bool watching_ = false;
  bool is_head_ = false;
  bool keep_ = true;
  bool draining_ = false;
};

} // namespace sluice::http
