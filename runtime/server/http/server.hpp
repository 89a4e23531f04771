#pragma once

#include "runtime/server/http/connection.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <caf/expected.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_set>

namespace sluice::http {

/// HTTP/1.1 on a loopback address: `POST /rpc` (JSON-RPC), `POST /mcp` (the Model Context Protocol, one answer per
/// request, no sessions), `GET /healthz` and `GET /metrics`. Used by the thread that runs the loop; nothing here
/// blocks.
class server {
public:
  /// Listens as `options` specifies. `behind` outlives the server, and the loop outlives both. `errc::invalid_request`
  /// for an address that is not a loopback address with a port, or an empty token; `errc::unavailable` if it is in use.
  static caf::expected<std::unique_ptr<server>> listen(boost::asio::io_context& loop, settings options,
                                                       backend& behind);

  server(const server&) = delete;
  server& operator=(const server&) = delete;
  /// Ends every connection at once; handlers of requests under way are destroyed.
  ~server();

  /// The TCP port that clients connect to.
  uint16_t port() const noexcept { return port_; }

  size_t connections() const noexcept { return connections_.size(); }

  /// When a client last began a request, or had received an answer.
  std::chrono::steady_clock::time_point last_active() const noexcept { return shared_.last_active; }

  /// Accepts no more clients. Closes idle connections at once, others when their request has been answered, and all
  /// after `drain_timeout`; then the loop calls `done`.
  void stop(std::function<void()> done = {});

private:
  using tcp = boost::asio::ip::tcp;

  server(boost::asio::io_context& loop, settings options, backend& behind, tcp::acceptor acceptor, uint16_t port);

  void accept();
  void welcome(tcp::socket socket);
  void pause();
  void ended(connection& connection);
  void close_all();
  void notify_if_drained();

  boost::asio::io_context& loop_;
  uint16_t port_;
  shared shared_;
  tcp::acceptor acceptor_;
  boost::asio::steady_timer timer_;
  std::unordered_set<std::shared_ptr<connection>> connections_;
  bool stopping_ = false;
  std::function<void()> drained_;
  // The callbacks of the loop hold it weakly, and have no effect once the server is gone.
  std::shared_ptr<server*> self_ = std::make_shared<server*>(this);
};

} // namespace sluice::http
