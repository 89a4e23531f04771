#include "runtime/server/line_connection.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/dispatch.hpp"
#include "runtime/server/rpc/failures.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <new>

namespace sluice {

namespace {

namespace asio = boost::asio;

// A silent connection must not keep a transient broker alive.
constexpr std::chrono::seconds first_request_timeout{10};

// Beyond this many bytes answers wait until the client reads; a subscriber with as many unread bytes loses its
// subscription.
constexpr size_t out_high_water = 4ULL << 20;
constexpr size_t push_high_water = 1ULL << 20;
constexpr size_t out_limit = 256ULL << 20;

// Buffers keep at most this much memory for bytes that have been sent or handled.
constexpr size_t kept_buffer_bytes = size_t{1} << 20;

// A partial line may always have this many bytes, whatever the other connections hold.
constexpr size_t fair_share = 64 * 1024;

constexpr const char* too_many_bytes = "too many bytes of requests are under way";

// Refuses every method; used when too many bytes of requests are under way.
class refusing_handler final : public rpc::handler {
public:
  explicit refusing_handler(rpc::handler& methods) : methods_(methods) {}

  void call(const std::string& method, nlohmann::json params, rpc::answer_to done) override {
    auto error = rpc::error_of(make_failure(errc::overloaded, too_many_bytes, {.retry_after_ms = 100}));
    methods_.note_refusal(method, params, error);
    done({nullptr, std::move(error), {}});
  }

  void note_refusal(std::string_view method, const nlohmann::json& params, const rpc::error& reason) override {
    methods_.note_refusal(method, params, reason);
  }

private:
  rpc::handler& methods_;
};

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

} // namespace

line_connection::line_connection(socket_type socket, line_shared& shared)
  : socket_(std::move(socket)), shared_(shared), timer_(socket_.get_executor()),
    last_received_at_(std::chrono::steady_clock::now()) {}

void line_connection::start(std::unique_ptr<rpc::handler> methods) {
  methods_ = std::move(methods);
  arm_timer(due());
  await_input();
  // The kernel reports this when both directions have ended. A client that has closed only its sending side still reads
  // its answers.
  socket_.async_wait(socket_type::wait_error, [self = shared_from_this()](const boost::system::error_code& failed) {
    if (!failed)
      self->leave();
  });
}

void line_connection::refuse(const failure& reason) {
  auto error = rpc::error_of(reason);
  send(dump({{"jsonrpc", "2.0"},
             {"id", nullptr},
             {"error", {{"code", error.code}, {"message", error.message}, {"data", error.data}}}}));
  drain();
}

bool line_connection::push(const std::string& line, bool must) {
  if (!must && out_.size() - sent_ > push_high_water)
    return false;
  send(line);
  return true;
}

void line_connection::drain() {
  no_more_input_ = true;
  // Requests that have not begun are left to the next leader.
  if (!handling_) {
    in_.clear();
    searched_ = 0;
    recount();
  }
  // The caller may still use this connection.
  flush_soon();
}

void line_connection::close() {
  if (!socket_.is_open())
    return;
  boost::system::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  shared_.inflight_bytes -= std::exchange(own_bytes_, 0);
  shared_.unhandled_bytes -= std::exchange(counted_bytes_, 0);
  auto methods = std::move(methods_);
  shared_.closed(*this);
}

// Requests that the client sent before its end are still called: they may be notifications.
void line_connection::leave() {
  if (!socket_.is_open() || !methods_)
    return close();
  methods_->leave();
  boost::system::error_code failed;
  while (!no_more_input_ && in_.size() <= shared_.config.max_request_bytes) {
    auto size = socket_.read_some(asio::buffer(shared_.scratch), failed);
    in_.append(shared_.scratch.data(), size);
    if (failed) {
      in_ += '\n';
      no_more_input_ = true;
    }
  }
  handling_ = true;
  while (auto line = next_line())
    if (!is_blank(*line))
      handle(*line);
  close();
}

bool line_connection::is_behind() const noexcept { return out_.size() - sent_ > out_high_water; }

bool line_connection::paused() const noexcept { return under_way_ >= shared_.config.max_pipelined || is_behind(); }

void line_connection::await_input() {
  if (no_more_input_ || paused() || !socket_.is_open() || std::exchange(awaiting_input_, true))
    return;
  socket_.async_wait(socket_type::wait_read, [self = shared_from_this()](const boost::system::error_code& failed) {
    self->awaiting_input_ = false;
    if (!failed && !self->no_more_input_)
      self->read();
  });
}

void line_connection::read() {
  boost::system::error_code failed;
  auto size = socket_.read_some(asio::buffer(shared_.scratch), failed);
  if (failed == asio::error::would_block)
    return await_input();
  if (failed && failed != asio::error::eof)
    return close();
  last_received_at_ = shared_.last_active = std::chrono::steady_clock::now();
  in_.append(shared_.scratch.data(), size);
  if (failed == asio::error::eof) {
    // A document may end with the stream instead of a line feed; a partial document is answered as it is.
    in_ += '\n';
    no_more_input_ = true;
  }
  handle_lines();
}

void line_connection::handle_lines() {
  if (std::exchange(handling_, true))
    return;
  while (!paused() && socket_.is_open()) {
    auto line = next_line();
    if (!line)
      break;
    if (!is_blank(*line))
      handle(*line);
  }
  handling_ = false;
  in_.erase(0, handled_);
  searched_ -= std::exchange(handled_, 0);
  if (in_.empty() && in_.capacity() > kept_buffer_bytes)
    in_.shrink_to_fit();
  recount();
  if (drop_if_too_large())
    return;
  await_input();
  close_if_done();
}

// Nothing if the next line is incomplete, or is longer than allowed.
std::optional<std::string_view> line_connection::next_line() {
  auto end = in_.find('\n', searched_);
  if (end == std::string::npos) {
    searched_ = in_.size();
    return std::nullopt;
  }
  if (end - handled_ > shared_.config.max_request_bytes)
    return std::nullopt;
  auto line = std::string_view{in_}.substr(handled_, end - handled_);
  handled_ = searched_ = end + 1;
  return line;
}

bool line_connection::drop_if_too_large() {
  const auto& limits = shared_.config;
  auto first_line = searched_ == in_.size() ? in_.size() : std::min(in_.find('\n', searched_), in_.size());
  auto too_large = first_line > limits.max_request_bytes;
  auto no_room =
    in_.size() > fair_share && shared_.inflight_bytes + shared_.unhandled_bytes > limits.max_inflight_bytes;
  if (!too_large && !no_room)
    return false;
  auto reason = too_large
                  ? make_failure(errc::too_large, "the line is longer than " + std::to_string(limits.max_request_bytes)
                                                    + " bytes (max_request_bytes)")
                  : make_failure(errc::overloaded, too_many_bytes);
  if (methods_)
    methods_->note_refusal({}, nullptr, rpc::error_of(reason));
  refuse(reason);
  return true;
}

void line_connection::handle(std::string_view line) {
  auto bytes = line.size();
  has_sent_request_ = true;
  ++under_way_;
  own_bytes_ += bytes;
  shared_.inflight_bytes += bytes;
  // The server, and with it the shared state, may be gone before the answer comes; the connection is gone then, too.
  auto done = [weak = weak_from_this(), bytes](const std::string& text) {
    if (auto self = weak.lock())
      self->answered(bytes, text);
  };
  if (shared_.inflight_bytes > shared_.config.max_inflight_bytes) {
    refusing_handler no_room{*methods_};
    rpc::dispatch(line, no_room, done);
  } else {
    rpc::dispatch(line, *methods_, done);
  }
}

void line_connection::answered(size_t bytes, const std::string& line) {
  if (!socket_.is_open())
    return;
  --under_way_;
  own_bytes_ -= bytes;
  shared_.inflight_bytes -= bytes;
  if (!line.empty())
    send(line);
  resume_soon();
}

void line_connection::resume_soon() {
  // If it does not await input, there was no room for the bytes read.
  if (!awaiting_input_ && !handling_ && !std::exchange(resume_scheduled_, true))
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
      self->resume_scheduled_ = false;
      self->handle_lines();
    });
}

void line_connection::send(std::string_view line) {
  if (!socket_.is_open())
    return;
  // Answers may still arrive, but a client with this many unread bytes is closed. Its handler may be the caller, so it
  // is not closed here.
  overrun_ = overrun_ || out_.size() - sent_ > out_limit;
  try {
    if (!overrun_)
      out_.append(line) += '\n';
  } catch (const std::bad_alloc&) {
    // This error ends the connection, not the broker.
    overrun_ = true;
  }
  report_if_behind();
  flush_soon();
}

void line_connection::report_if_behind() {
  if (methods_ && is_behind() != reported_behind_) {
    reported_behind_ = !reported_behind_;
    methods_->hold(reported_behind_);
  }
}

void line_connection::flush_soon() {
  // Answers that arrive together are sent together.
  if (!std::exchange(flush_scheduled_, true))
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
      self->flush_scheduled_ = false;
      self->flush();
    });
}

void line_connection::flush() {
  if (overrun_)
    return close();
  if (!socket_.is_open() || stalled_since_ != time_point::max())
    return;
  while (sent_ < out_.size()) {
    boost::system::error_code failed;
    sent_ += socket_.write_some(asio::buffer(out_.data() + sent_, out_.size() - sent_), failed);
    if (failed == asio::error::would_block)
      return await_room();
    if (failed)
      return leave();
    shared_.last_active = std::chrono::steady_clock::now();
  }
  out_.clear();
  sent_ = 0;
  if (out_.capacity() > kept_buffer_bytes)
    out_.shrink_to_fit();
  report_if_behind();
  if (!awaiting_input_)
    return handle_lines();
  close_if_done();
}

void line_connection::await_room() {
  stalled_since_ = std::chrono::steady_clock::now();
  arm_timer(due());
  // Otherwise all answers to a client that never reads everything would stay in memory.
  if (sent_ > kept_buffer_bytes)
    out_.erase(0, std::exchange(sent_, 0));
  report_if_behind();
  if (!paused())
    resume_soon();
  socket_.async_wait(socket_type::wait_write, [self = shared_from_this()](const boost::system::error_code& failed) {
    self->stalled_since_ = time_point::max();
    if (!failed)
      self->flush();
  });
}

void line_connection::close_if_done() {
  if (no_more_input_ && under_way_ == 0 && out_.empty() && in_.find('\n') == std::string::npos)
    close();
}

void line_connection::recount() {
  if (!socket_.is_open())
    return;
  shared_.unhandled_bytes += in_.size() - counted_bytes_;
  counted_bytes_ = in_.size();
}

line_connection::time_point line_connection::due() const noexcept {
  if (stalled_since_ != time_point::max())
    return stalled_since_ + shared_.config.send_timeout;
  const auto& idle = shared_.config.connection_idle;
  return last_received_at_
         + (has_sent_request_ ? idle : std::min<std::chrono::milliseconds>(idle, first_request_timeout));
}

void line_connection::arm_timer(time_point at) {
  if (at >= timer_at_)
    return;
  timer_at_ = at;
  timer_.expires_at(at);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& failed) {
    if (auto self = weak.lock(); self && !failed)
      self->timer_expired();
  });
}

void line_connection::timer_expired() {
  timer_at_ = time_point::max();
  auto now = std::chrono::steady_clock::now();
  // A connection that waits for an answer is not idle; nor is one with subscriptions.
  if (now >= due() && stalled_since_ == time_point::max() && (under_way_ > 0 || methods_->has_subscriptions()))
    return arm_timer(now + shared_.config.connection_idle);
  if (now >= due())
    return close();
  arm_timer(due());
}

} // namespace sluice
