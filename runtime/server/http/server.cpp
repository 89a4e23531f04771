#include "runtime/server/http/server.hpp"

#include <boost/asio/post.hpp>

#include <charconv>
#include <optional>
#include <string_view>

namespace sluice::http {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::beast::http::field;
using boost::beast::http::status;
using boost::system::error_code;

// Connections beyond the bound that are answered with 503. When there are this many, further ones are closed.
constexpr size_t max_rejected = 64;

caf::expected<tcp::endpoint> parse_address(std::string_view text) {
  auto wrong = [&](std::string_view reason) {
    return make_error(errc::invalid_request, "the HTTP address '" + std::string{text} + "' " + std::string{reason});
  };
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return wrong("is not HOST:PORT");
  auto host = text.substr(0, colon);
  uint16_t port = 0;
  const auto* end = text.data() + text.size();
  auto [last, failed] = std::from_chars(text.data() + colon + 1, end, port);
  if (failed != std::errc{} || last != end)
    return wrong("does not end in a port from 0 to 65535");
  if (!is_loopback_host(host))
    return wrong("is not a loopback address (127.0.0.1, [::1] or localhost); other machines are not served");
  if (host.starts_with('['))
    return tcp::endpoint{asio::ip::address_v6::loopback(), port};
  // The name always means this address, whatever a resolver would return.
  error_code is_name;
  auto address = asio::ip::make_address_v4(std::string{host}, is_name);
  return tcp::endpoint{is_name ? asio::ip::address_v4::loopback() : address, port};
}

error_code listen_at(tcp::acceptor& acceptor, const tcp::endpoint& at) {
  error_code failed;
  acceptor.open(at.protocol(), failed);
  if (!failed)
    acceptor.set_option(tcp::acceptor::reuse_address{true}, failed);
  if (!failed)
    acceptor.bind(at, failed);
  if (!failed)
    acceptor.listen(asio::socket_base::max_listen_connections, failed);
  return failed;
}

bool is_passing(const error_code& failed) {
  return failed == asio::error::connection_aborted || failed == asio::error::interrupted
         || failed == asio::error::connection_reset;
}

} // namespace

server::server(asio::io_context& loop, settings options, backend& behind, tcp::acceptor acceptor, uint16_t port)
  : loop_(loop), port_(port), shared_{.settings = options,
                                      .behind = behind,
                                      .filter = {options.token, port, options.agent_tokens},
                                      .ended = [this](connection& x) { ended(x); }},
    acceptor_(std::move(acceptor)), timer_(loop) {
  shared_.last_active = std::chrono::steady_clock::now();
}

caf::expected<std::unique_ptr<server>> server::listen(asio::io_context& loop, settings options, backend& behind) {
  if (options.token.empty())
    return make_error(errc::invalid_request, "the HTTP port needs a token");
  auto at = parse_address(options.address);
  if (!at)
    return std::move(at.error());
  tcp::acceptor acceptor{loop};
  if (auto failed = listen_at(acceptor, *at))
    return make_error(errc::unavailable,
                      "cannot listen at the HTTP address " + options.address + ": " + failed.message());
  auto port = acceptor.local_endpoint().port();
  std::unique_ptr<server> result{new server{loop, std::move(options), behind, std::move(acceptor), port}};
  result->accept();
  return result;
}

server::~server() {
  drained_ = {};
  close_all();
}

void server::accept() {
  acceptor_.async_accept([weak = std::weak_ptr{self_}](const error_code& failed, tcp::socket socket) {
    auto self = weak.lock();
    if (!self || !(*self)->acceptor_.is_open())
      return;
    if (!failed)
      (*self)->welcome(std::move(socket));
    else if (!is_passing(failed))
      return (*self)->pause();
    (*self)->accept();
  });
}

// Without descriptors the connection stays in the queue of the kernel; to accept again at once would spin.
void server::pause() {
  timer_.expires_after(shared_.settings.accept_pause);
  timer_.async_wait([weak = std::weak_ptr{self_}](const error_code& stopped) {
    auto self = weak.lock();
    if (self && !stopped && (*self)->acceptor_.is_open())
      (*self)->accept();
  });
}

void server::welcome(tcp::socket socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay{true}, ignored);
  auto room = shared_.settings.max_connections;
  if (connections_.size() >= room + max_rejected)
    return;
  auto accepted = std::make_shared<connection>(std::move(socket), shared_);
  connections_.insert(accepted);
  if (connections_.size() <= room)
    return accepted->start();
  accepted->refuse(
    {status::service_unavailable, errc::overloaded, "there are too many connections", {{field::retry_after, "1"}}});
}

void server::ended(connection& connection) {
  connections_.erase(connection.shared_from_this());
  notify_if_drained();
}

void server::close_all() {
  error_code ignored;
  acceptor_.close(ignored);
  while (!connections_.empty()) {
    auto first = *connections_.begin();
    first->close();
  }
}

void server::notify_if_drained() {
  if (!stopping_ || !connections_.empty())
    return;
  timer_.cancel();
  if (drained_)
    asio::post(loop_, std::exchange(drained_, {}));
}

void server::stop(std::function<void()> done) {
  error_code ignored;
  acceptor_.close(ignored);
  stopping_ = true;
  drained_ = std::move(done);
  timer_.expires_after(shared_.settings.drain_timeout);
  timer_.async_wait([weak = std::weak_ptr{self_}](const error_code& stopped) {
    auto self = weak.lock();
    if (self && !stopped)
      (*self)->close_all();
  });
  for (const auto& open : connections_)
    open->drain();
  notify_if_drained();
}

} // namespace sluice::http
