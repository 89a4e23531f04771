#include "runtime/client/channel.hpp"

#include "runtime/client/greeting.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/os/silent_process.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace sluice {

namespace {

using std::chrono::steady_clock;

// Much larger than the largest answer that a leader may be configured for; a peer that sends more is not a leader.
constexpr size_t max_line_bytes = size_t{1} << 30;
constexpr size_t kept_bytes = size_t{1} << 20;

// Time without a byte from the leader after which a ping is sent.
constexpr std::chrono::milliseconds ping_after{1'000};
// With this many requests under way the leader may stop reading, so its silence proves nothing.
constexpr size_t max_under_way = 1'000;

timespec time_until(steady_clock::time_point limit) {
  auto left = std::max(std::chrono::nanoseconds{0}, limit - steady_clock::now());
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
}

// A method as JSON; the methods of the protocol contain no characters that must be escaped.
std::string quoted(std::string_view method) {
  auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || c == '.' || c == '_'; };
  if (std::all_of(method.begin(), method.end(), is_plain))
    return fmt::format("\"{}\"", method);
  return dump(nlohmann::json(method));
}

// The id in the form in which a broker of sluice writes it. Does not parse the rest, which the calling thread parses.
std::optional<uint64_t> leading_id(std::string_view line) {
  constexpr std::string_view start = R"({"id":)";
  if (!line.starts_with(start))
    return std::nullopt;
  uint64_t id = 0;
  auto [end, failed] = std::from_chars(line.data() + start.size(), line.data() + line.size(), id);
  if (failed != std::errc{} || end == line.data() + line.size() || (*end != ',' && *end != '}'))
    return std::nullopt;
  return id;
}

} // namespace

// A thread that waits for its answer, for its turn to read, or until its time limit.
struct channel::waiter {
  std::condition_variable turn;
  bool woken = false;
  bool ends_in_silence = false;
};

channel::channel(descriptor socket, const std::optional<file_identity>& root, silence_policy silence)
  : socket_(std::move(socket)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), posting_(std::make_unique<waiter>()),
    silence_(std::move(silence)) {
  // The greeting goes out with the first request and costs no round trip of its own.
  out_ = greeting(root);
  appended_ = out_.size();
  lost_ = !wake_;
}

channel::~channel() = default;

void channel::ask(call& call, std::string_view method, std::string_view params, time_point limit) {
  waiter self;
  self.ends_in_silence = silence_.ends_calls;
  lock held{mutex_};
  call = {};
  if (lost_) {
    call.state = call_state::lost;
    return;
  }
  append(call, method, params, self);
  wait(held, self, limit);
  if (call.state == call_state::pending) {
    call.sent = went_out(call);
    pending_.erase(call.id);
  }
}

bool channel::post(call& call, std::string_view method, std::string_view params) {
  lock held{mutex_};
  if (lost_)
    return false;
  call = {};
  append(call, method, params, *posting_);
  return true;
}

std::vector<channel::call*> channel::await_posted(time_point limit) {
  lock held{mutex_};
  wait(held, *posting_, limit);
  posting_->woken = false;
  return std::exchange(completed_, {});
}

void channel::poke() {
  lock held{mutex_};
  posting_->woken = true;
  if (reader_ == posting_.get())
    eventfd_write(wake_.get(), 1);
  else
    posting_->turn.notify_one();
}

bool channel::abandon(call& call) {
  lock held{mutex_};
  if (call.state != call_state::pending)
    return false;
  call.sent = went_out(call);
  pending_.erase(call.id);
  return true;
}

bool channel::await_loss(time_point limit) {
  waiter self;
  lock held{mutex_};
  wait(held, self, limit);
  return lost_;
}

void channel::close() {
  lock held{mutex_};
  lose();
}

std::optional<std::string> channel::silence() const {
  lock held{mutex_};
  return is_silent_ ? std::optional{silence_of(peer_of(socket_.get()))} : std::nullopt;
}

std::optional<failure> channel::refusal() const {
  lock held{mutex_};
  return refusal_;
}

void channel::append(call& call, std::string_view method, std::string_view params, waiter& owner) {
  call.id = ++last_id_;
  call.owner = &owner;
  auto before = out_.size();
  fmt::format_to(std::back_inserter(out_),
                 R"({{"jsonrpc":"2.0","id":{},"method":{},"params":{}}})"
                 "\n",
                 call.id, quoted(method), params);
  appended_ += out_.size() - before;
  call.end = appended_;
  if (pending_.empty()) {
    last_received_at_ = steady_clock::now();
    ping_sent_ = is_silent_ = false;
  }
  pending_.emplace(call.id, &call);
  if (!blocked_ && !unsendable_)
    flush();
  // The reading thread must now wait for room in the socket.
  if (blocked_ && reader_)
    eventfd_write(wake_.get(), 1);
}

void channel::flush() {
  blocked_ = false;
  while (sent_ < out_.size()) {
    auto count = send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent_ += static_cast<size_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      blocked_ = true;
      break;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      unsendable_ = true;
      return;
    } else if (errno != EINTR) {
      lose();
      return;
    }
  }
  if (sent_ == out_.size() || sent_ > kept_bytes)
    out_.erase(0, std::exchange(sent_, 0));
  if (out_.empty() && out_.capacity() > kept_bytes)
    out_.shrink_to_fit();
}

// One thread at a time reads; a thread that leaves with its answer wakes another one to read.
void channel::wait(lock& held, waiter& self, time_point limit) {
  while (!self.woken && !lost_ && !(self.ends_in_silence && is_silent_) && steady_clock::now() < limit) {
    if (reader_) {
      followers_.push_back(&self);
      self.turn.wait_until(held, limit);
      std::erase(followers_, &self);
    } else {
      reader_ = &self;
      read(held, limit);
      reader_ = nullptr;
    }
  }
  if (!reader_ && !followers_.empty())
    followers_.back()->turn.notify_one();
}

void channel::read(lock& held, time_point limit) {
  auto events = static_cast<short>(blocked_ ? POLLIN | POLLOUT : POLLIN);
  std::array<pollfd, 2> watched{{{socket_.get(), events, 0}, {wake_.get(), POLLIN, 0}}};
  auto look_at = next_liveness_check();
  held.unlock();
  auto timeout = time_until(std::min(limit, look_at));
  auto room = in_.room();
  ssize_t count = -1;
  auto code = EAGAIN;
  if (ppoll(watched.data(), watched.size(), &timeout, nullptr) > 0 && (watched[0].revents & ~POLLOUT) != 0) {
    count = recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT);
    code = errno;
  }
  held.lock();
  if (watched[1].revents != 0) {
    eventfd_t ignored = 0;
    eventfd_read(wake_.get(), &ignored);
  }
  take_in(count, code);
  if ((watched[0].revents & POLLOUT) != 0 && blocked_ && !lost_)
    flush();
  if (count < 0 && !lost_ && steady_clock::now() >= look_at)
    check_liveness(held);
}

void channel::take_in(ssize_t count, int code) {
  if (count > 0) {
    last_received_at_ = steady_clock::now();
    ping_sent_ = is_silent_ = false;
    in_.filled(static_cast<size_t>(count));
    while (auto line = lost_ ? std::nullopt : in_.next())
      dispatch(*line);
  }
  if (count == 0 || (count < 0 && code != EAGAIN && code != EINTR) || in_.pending() > max_line_bytes)
    lose();
}

// When the reading thread checks whether the leader is alive.
channel::time_point channel::next_liveness_check() const noexcept {
  if (is_silent_ || pending_.empty() || pending_.size() >= max_under_way)
    return time_point::max();
  return last_received_at_ + (ping_sent_ ? silence_.after : std::min(ping_after, silence_.after / 2));
}

void channel::check_liveness(lock& held) {
  if (!ping_sent_) {
    ping_sent_ = true;
    // No thread waits for this answer.
    auto before = out_.size();
    fmt::format_to(std::back_inserter(out_),
                   R"({{"jsonrpc":"2.0","id":{},"method":"ping"}})"
                   "\n",
                   ++last_id_);
    appended_ += out_.size() - before;
    if (!blocked_ && !unsendable_)
      flush();
    return;
  }
  is_silent_ = true;
  for (auto* follower : followers_)
    follower->turn.notify_one();
  if (!silence_.warn)
    return;
  auto peer = peer_of(socket_.get());
  held.unlock();
  silence_.warn(silence_of(peer));
  held.lock();
}

void channel::dispatch(std::string_view line) {
  if (auto id = leading_id(line); id && *id != 0)
    answered(*id, line);
  else
    dispatch_other(line);
}

// Answers to abandoned calls are dropped.
void channel::answered(uint64_t id, std::string_view line) {
  auto at = pending_.find(id);
  if (at == pending_.end())
    return;
  auto& call = *at->second;
  pending_.erase(at);
  call.answer.assign(line);
  complete(call, call_state::answered);
}

// Handles the answer to the greeting, and every line that does not have the form of a broker's result.
void channel::dispatch_other(std::string_view line) {
  auto document = nlohmann::json::parse(line, nullptr, false);
  auto id = document.is_object() ? document.find("id") : document.end();
  if (!document.is_object() || (id == document.end() && !document.contains("method"))) {
    lose();
  } else if (id == document.end()) {
    // An unsolicited notification is ignored.
  } else if (id->is_null() && document.contains("error")) {
    refusal_ = rpc::failure_from_json(document["error"]);
    lose();
  } else if (!id->is_number_unsigned()) {
    lose();
  } else if (auto number = id->get<uint64_t>(); number > 0) {
    answered(number, line);
  } else {
    greeted(document);
  }
}

void channel::greeted(const nlohmann::json& answer) {
  auto error = answer.find("error");
  if (error == answer.end())
    return;
  if (is_stepping_down(*error)) {
    draining_ = true;
    return;
  }
  refusal_ = rpc::failure_from_json(*error);
  if (refusal_->code != errc::wrong_store)
    refusal_->code = errc::protocol_mismatch;
  lose();
}

void channel::complete(call& call, call_state state) {
  call.state = state;
  call.sent = state == call_state::answered || went_out(call);
  call.owner->woken = true;
  if (call.owner == posting_.get())
    completed_.push_back(&call);
  if (call.owner != reader_)
    call.owner->turn.notify_one();
}

void channel::lose() {
  if (lost_.exchange(true))
    return;
  for (auto& [id, call] : pending_)
    complete(*call, call_state::lost);
  pending_.clear();
  for (auto* follower : followers_)
    follower->turn.notify_one();
  // Wakes the reading thread.
  shutdown(socket_.get(), SHUT_RDWR);
}

} // namespace sluice
