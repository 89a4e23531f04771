#include "runtime/server/http/connection.hpp"

#include "runtime/json/json_text.hpp"
#include "runtime/server/rpc/dispatch.hpp"
#include "runtime/server/rpc/mcp.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <sys/socket.h>

namespace sluice::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using beast::http::field;
using beast::http::status;
using error = beast::http::error;

constexpr auto json_type = "application/json";
constexpr size_t read_ahead = size_t{64} << 10;
constexpr size_t discard_bytes = size_t{64} << 10;
constexpr std::chrono::milliseconds pause_between_stops{10};

constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

refusal too_slow(std::string message) {
  return {status::request_timeout, errc::deadline_exceeded, std::move(message), {}};
}

response document(status code, const char* type, std::string text) {
  response result{code, 11};
  result.set(field::content_type, type);
  result.body() = std::move(text);
  return result;
}

// The answer to bytes that are not an HTTP request.
bool is_unreadable(const std::string& answer) {
  constexpr size_t longest = 4096;
  if (answer.size() > longest)
    return false;
  auto document = nlohmann::json::parse(answer, nullptr, false);
  if (!document.is_object() || !document.contains("error") || !document.contains("id") || !document["id"].is_null())
    return false;
  auto code = document["error"].value("code", 0);
  return code == rpc::parse_error || code == rpc::invalid_request;
}

bool has_ended(int socket) {
  char next = 0;
  auto size = recv(socket, &next, 1, MSG_PEEK | MSG_DONTWAIT);
  return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}

} // namespace

connection::connection(socket_type socket, shared& common)
  : socket_(std::move(socket)), shared_(common), timer_(socket_.get_executor()), buffer_(read_ahead) {}

// Calls `next` unless the connection has ended meanwhile: the shared state may be gone then.
template <class... Args> auto connection::then(void (connection::*next)(Args...)) {
  return [self = shared_from_this(), next](Args... args) {
    if (self->socket_.is_open())
      (self.get()->*next)(args...);
  };
}

void connection::arm(std::chrono::milliseconds timeout) {
  expired_ = false;
  ++timer_serial_;
  wake_after(timeout);
}

void connection::wake_after(std::chrono::milliseconds time) {
  timer_.expires_after(time);
  timer_.async_wait([self = shared_from_this(), serial = timer_serial_](const error_code& stopped) {
    if (!stopped && serial == self->timer_serial_ && self->socket_.is_open())
      self->timed_out();
  });
}

void connection::disarm() {
  ++timer_serial_;
  timer_.cancel();
}

// Cancels the operation that took too long; its handler gets the error and decides how to continue. An operation of
// several steps may be between two of them, where there is nothing to cancel, so this is repeated until the handler has
// run.
void connection::timed_out() {
  expired_ = true;
  error_code ignored;
  socket_.cancel(ignored);
  wake_after(pause_between_stops);
}

void connection::start() { await_request(shared_.settings.header_timeout); }

void connection::await_request(std::chrono::milliseconds timeout) {
  is_head_ = false;
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(shared_.settings.max_header_bytes));
  parser_->body_limit(shared_.settings.max_body_bytes);
  if (buffer_.size() > 0)
    return on_input({});
  // A silent client must not occupy a buffer.
  buffer_.shrink_to_fit();
  idle_ = true;
  arm(timeout);
  socket_.async_wait(socket_type::wait_read, then(&connection::on_input));
}

void connection::on_input(error_code failed) {
  idle_ = false;
  if (failed)
    return close();
  shared_.last_active = std::chrono::steady_clock::now();
  arm(shared_.settings.header_timeout);
  beast::http::async_read_header(socket_, buffer_, *parser_, then(&connection::on_header));
}

void connection::on_header(error_code failed, size_t) {
  if (failed)
    return on_malformed(failed);
  const auto& head = parser_->get();
  is_head_ = head.method() == beast::http::verb::head;
  // HTTP/1.0 clients would need a `Connection` field, and gain little.
  keep_ = head.keep_alive() && head.version() == 11;
  auto admitted = shared_.filter.admit(head);
  if (const auto* reason = std::get_if<refusal>(&admitted)) {
    // The following bytes may be a body that is not read, even if the parser sees none.
    keep_ = keep_ && parser_->is_done() && head.count(field::transfer_encoding) == 0;
    return send(answer_to_refused(*reason));
  }
  route_ = std::get<route>(admitted);
  if (parser_->is_done())
    return on_request({}, 0);
  if (!reserve_body())
    return;
  arm(shared_.settings.body_timeout);
  if (head.count(field::expect) > 0)
    return asio::async_write(socket_, asio::buffer(go_on), then(&connection::on_asked));
  ask_for_body();
}

bool connection::reserve_body() {
  auto length = parser_->content_length();
  reserved_ = length ? static_cast<size_t>(*length) : shared_.settings.max_body_bytes;
  shared_.inflight_bytes += reserved_;
  if (shared_.inflight_bytes <= shared_.settings.max_inflight_bytes)
    return true;
  shared_.behind.note_refusal(errc::overloaded);
  refuse({status::service_unavailable,
          errc::overloaded,
          "too many bytes of requests are under way",
          {{field::retry_after, "1"}}});
  return false;
}

void connection::ask_for_body() { beast::http::async_read(socket_, buffer_, *parser_, then(&connection::on_request)); }

void connection::on_asked(error_code failed, size_t) { failed ? close() : ask_for_body(); }

void connection::on_request(error_code failed, size_t) {
  if (failed)
    return on_malformed(failed);
  disarm();
  handle(std::move(parser_->get().body()));
}

void connection::on_malformed(error_code failed) {
  if (expired_)
    return refuse(too_slow("the request did not come in time"));
  if (failed == error::body_limit) {
    // The parser would refuse the length together with the header, before the token was checked.
    if (std::holds_alternative<route>(shared_.filter.admit(parser_->get())))
      shared_.behind.note_refusal(errc::too_large);
    return refuse({status::payload_too_large, errc::too_large, "the body is too large", {}});
  }
  if (failed == error::header_limit || failed == error::buffer_overflow)
    return refuse({status::request_header_fields_too_large, errc::too_large, "the header is too large", {}});
  if (failed == error::end_of_stream || failed == error::partial_message
      || failed.category() != beast::http::make_error_code(error::bad_target).category())
    return close();
  refuse({status::bad_request, errc::invalid_request, "malformed HTTP: " + failed.message(), {}});
}

template <class Answer> auto connection::answer_with(void (connection::*give)(const Answer&)) {
  return [weak = weak_from_this(), give](const Answer& answer) {
    auto self = weak.lock();
    if (self && std::exchange(self->calling_, false))
      (self.get()->*give)(answer);
  };
}

// Whoever has the token of an agent is that agent, whatever its program calls itself.
std::unique_ptr<rpc::handler> connection::open_mcp(const std::string& token) {
  rpc::mcp_settings settings{.version = shared_.settings.version};
  if (!token.empty())
    settings.agent = token;
  return rpc::make_mcp(shared_.behind.open_handler(token), settings);
}

void connection::handle(std::string body) {
  calling_ = true;
  switch (route_) {
  case route::rpc:
    port_ = shared_.behind.open_handler(shared_.filter.token_of(parser_->get()));
    rpc::dispatch(body, *port_, answer_with(&connection::answer_rpc));
    break;
  case route::mcp:
    port_ = open_mcp(shared_.filter.token_of(parser_->get()));
    rpc::dispatch(body, *port_, answer_with(&connection::answer_mcp));
    break;
  case route::healthz: shared_.behind.check_health(answer_with(&connection::answer_health)); break;
  case route::metrics: shared_.behind.metrics(answer_with(&connection::answer_metrics)); break;
  }
  if (calling_)
    watch();
}

void connection::answer_rpc(const std::string& text) {
  if (text.empty())
    return send({status::no_content, 11});
  send(document(status::ok, json_type, text + "\n"));
}

void connection::answer_mcp(const std::string& text) {
  if (text.empty())
    return send({status::accepted, 11});
  send(document(is_unreadable(text) ? status::bad_request : status::ok, json_type, text + "\n"));
}

void connection::answer_health(const health& health) {
  if (health.ready)
    return send(document(status::ok, json_type, "{\"status\":\"ready\"}\n"));
  nlohmann::json body{{"status", "unavailable"}, {"reason", health.reason}};
  send(document(status::service_unavailable, json_type, dump(body) + "\n"));
}

void connection::answer_metrics(const std::string& text) {
  send(document(status::ok, "text/plain; version=0.0.4; charset=utf-8", text));
}

// If a client sends more than this ahead, its end is noticed only when the answer cannot be sent.
void connection::watch() {
  if (buffer_.size() >= read_ahead || std::exchange(watching_, true))
    return;
  socket_.async_wait(socket_type::wait_read, then(&connection::on_watched));
}

void connection::on_watched(error_code failed) {
  watching_ = false;
  if (!calling_)
    return;
  if (failed || has_ended(socket_.native_handle()))
    return close();
  // The end of the stream comes after the requests that were sent ahead.
  auto room = buffer_.prepare(read_ahead - buffer_.size());
  auto size = recv(socket_.native_handle(), room.data(), room.size(), MSG_DONTWAIT);
  buffer_.commit(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  watch();
}

void connection::refuse(const refusal& reason) {
  keep_ = false;
  send(answer_to_refused(reason));
}

void connection::send(response answer) {
  keep_ = keep_ && !draining_;
  response_ = std::move(answer);
  response_.set(field::cache_control, "no-store");
  response_.set("X-Content-Type-Options", "nosniff");
  response_.keep_alive(keep_);
  // Beast would give 204 a Content-Length, which RFC 9110 forbids.
  if (response_.result() != status::no_content)
    response_.prepare_payload();
  if (is_head_)
    response_.body().clear();
  arm(shared_.settings.send_timeout);
  beast::http::async_write(socket_, response_, then(&connection::on_sent));
}

void connection::on_sent(error_code failed, size_t) {
  // Not released earlier: the handler may still have been running when it answered.
  release_request();
  response_ = {};
  if (failed)
    return expired_ ? reset() : close();
  shared_.last_active = std::chrono::steady_clock::now();
  if (!keep_)
    return linger();
  await_request(shared_.settings.idle_timeout);
}

void connection::release_request() {
  calling_ = false;
  shared_.inflight_bytes -= std::exchange(reserved_, 0);
  auto gone = std::move(port_);
}

// Closing with input unread would reset the connection, and the client might lose the answer.
void connection::linger() {
  error_code failed;
  if (parser_ && parser_->is_done() && buffer_.size() == 0 && socket_.available(failed) == 0)
    return close();
  socket_.shutdown(socket_type::shutdown_send, failed);
  if (failed)
    return close();
  parser_.reset();
  buffer_.clear();
  arm(shared_.settings.linger_timeout);
  on_discarded({}, 0);
}

void connection::on_discarded(error_code failed, size_t) {
  if (failed || expired_)
    return close();
  socket_.async_read_some(buffer_.prepare(discard_bytes), then(&connection::on_discarded));
}

void connection::drain() {
  draining_ = true;
  if (idle_)
    timed_out();
}

// Otherwise the kernel would continue to send an answer that the client does not read.
void connection::reset() {
  error_code ignored;
  socket_.set_option(asio::socket_base::linger{true, 0}, ignored);
  close();
}

void connection::close() {
  if (!socket_.is_open())
    return;
  error_code ignored;
  socket_.close(ignored);
  disarm();
  release_request();
  shared_.ended(*this);
}

} // namespace sluice::http
