#pragma once

#include "messages/write.hpp"
#include "runtime/server/rpc/handler.hpp"
#include "runtime/store/config.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

class line_connection;

/// The state that the connections of one server share. Used by the loop's thread.
struct line_shared {
  using time_point = std::chrono::steady_clock::time_point;

  const broker_config& config;
  /// The bytes of requests that were read and are not answered yet, over all connections.
  uint64_t inflight_bytes = 0;
  /// The bytes that were read and are not complete requests yet.
  uint64_t unhandled_bytes = 0;
  time_point last_active{};
  /// The read buffer that all connections share; each connection keeps its partial lines itself.
  std::vector<char> scratch = std::vector<char>(256 * 1024);
  /// Called when a connection has ended.
  std::function<void(line_connection&)> closed;
};

/// One client of the socket: reads documents, one per line, and writes answers, one per line, as they arrive.
///
/// Its bounds protect other connections: it does not read while too many requests are under way or too many bytes of
/// answers are unread, and it is closed when it sends a line beyond the bound, is silent for too long, or does not read
/// its answers for too long. When its client has gone, its handler is notified and destroyed. Owned by its server and
/// by the operations under way; used by the loop's thread.
class line_connection : public std::enable_shared_from_this<line_connection> {
public:
  using socket_type = boost::asio::local::stream_protocol::socket;

  line_connection(socket_type socket, line_shared& shared);

  /// From now on reads documents and passes their calls to `methods`.
  void start(std::unique_ptr<rpc::handler> methods);

  /// Sends the error, and ends the connection.
  void refuse(const failure& error);

  /// Sends a notification to a subscriber; false when earlier documents have not been read yet, unless it `must` be
  /// sent.
  bool push(const std::string& line, bool must);

  /// Stops reading; ends when the requests under way have been answered.
  void drain();

  /// Ends the connection at once. Drops answers of the handler.
  void close();

private:
  using time_point = line_shared::time_point;

  bool is_behind() const noexcept;
  bool paused() const noexcept;
  void leave();
  void await_input();
  void read();
  void handle_lines();
  std::optional<std::string_view> next_line();
  void handle(std::string_view line);
  bool drop_if_too_large();
  void answered(size_t bytes, const std::string& line);
  void resume_soon();
  void send(std::string_view line);
  void report_if_behind();
  void flush_soon();
  void flush();
  void await_room();
  void close_if_done();
  void recount();
  void arm_timer(time_point at);
  void timer_expired();
  time_point due() const noexcept;

  socket_type socket_;
  line_shared& shared_;
  std::unique_ptr<rpc::handler> methods_;
  boost::asio::steady_timer timer_;
  time_point timer_at_ = time_point::max();
  // Bytes read: handled up to `handled_`, searched for the end of a line up to `searched_`.
  std::string in_;
  size_t handled_ = 0;
  size_t searched_ = 0;
  std::string out_;
  size_t sent_ = 0;
  size_t under_way_ = 0;
  size_t own_bytes_ = 0;
  size_t counted_bytes_ = 0;
  time_point last_received_at_;
  time_point stalled_since_ = time_point::max();
  bool has_sent_request_ = false;
  bool handling_ = false;
  bool awaiting_input_ = false;
  bool flush_scheduled_ = false;
  bool resume_scheduled_ = false;
  bool no_more_input_ = false;
  bool overrun_ = false;
  bool reported_behind_ = false;
};

} // namespace sluice
