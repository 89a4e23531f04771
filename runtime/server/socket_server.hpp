#pragma once

#include "runtime/server/line_connection.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <caf/expected.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <unordered_set>

namespace sluice {

/// The Unix-domain socket of a broker. Only processes of the same user may connect: the socket is 0600, and the kernel
/// reports the peer's user. Used by the loop's thread.
class socket_server {
public:
  /// Sends an unsolicited document to the client; false when the client is too far behind and the document need not
  /// (`must`) be sent.
  using pusher = std::function<bool(const std::string& line, bool must)>;
  /// Makes the handler for a client.
  using port_opener = std::function<std::unique_ptr<rpc::handler>(peer_identity, pusher)>;

  /// Listens at `path`; removes the socket of a process that has ended. The caller leads the store. `config` outlives
  /// the server. `errc::io_error` or `not_authorized` when the socket cannot be created, `busy` when a process listens
  /// there: the broker of another store whose root has the same path (it was renamed, or is mounted elsewhere), or
  /// another server.
  static caf::expected<std::unique_ptr<socket_server>> listen(boost::asio::io_context& loop, std::filesystem::path path,
                                                              const broker_config& config, port_opener open);

  socket_server(const socket_server&) = delete;
  socket_server& operator=(const socket_server&) = delete;
  /// Ends every connection at once.
  ~socket_server();

  size_t connections() const noexcept { return connections_.size(); }

  /// When a client last sent something, or read an answer.
  line_shared::time_point last_active() const noexcept { return shared_.last_active; }

  /// Creates the socket again if its file is gone.
  void renew();

  /// Accepts no more clients and removes the file; calls `done` when every request under way has been answered and
  /// every connection has ended.
  void drain(std::function<void()> done);

private:
  using acceptor = boost::asio::local::stream_protocol::acceptor;
  using socket_type = line_connection::socket_type;

  socket_server(boost::asio::io_context& loop, std::filesystem::path path, const broker_config& config,
                port_opener open);

  caf::expected<void> bind();
  void accept();
  void welcome(socket_type socket);
  void shed_one();
  void ended(line_connection& connection);
  void remove_file();

  boost::asio::io_context& loop_;
  std::filesystem::path path_;
  port_opener open_;
  line_shared shared_;
  acceptor acceptor_;
  boost::asio::steady_timer pause_;
  // Closed for a moment when there are no descriptors left, so that a client can be accepted and closed.
  int spare_ = -1;
  uint64_t file_id_ = 0;
  std::unordered_set<std::shared_ptr<line_connection>> connections_;
  std::function<void()> drained_;
};

} // namespace sluice
