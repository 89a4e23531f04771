#pragma once

#include "messages/error.hpp"
#include "runtime/client/line_buffer.hpp"
#include "runtime/os/descriptor.hpp"
#include "runtime/os/file_identity.hpp"

#include <nlohmann/json_fwd.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <unordered_map>
#include <vector>

namespace sluice {

/// The reaction to a leader that is connected and silent, for example because its process is stopped.
struct silence_policy {
  /// A leader that has not sent a byte for this time, although it was sent a `ping`, is silent.
  std::chrono::milliseconds after{2'000};
  /// Whether `ask` ends when the leader is silent.
  bool ends_calls = false;
  /// Called when the leader is silent, with a message for people, by one of the waiting threads. May be empty.
  std::function<void(std::string_view)> warn{};
};

/// One connection to a leader, shared by any number of threads. It sends `hello`, sends requests, and gives each answer
/// to the thread that made the request.
///
/// It has no thread of its own: one of the waiting threads reads for all, and passes this role on when it has its own
/// answer. A thread switch would cost more than the request itself. The reading thread also sends the bytes that could
/// not be sent at once, so neither side waits for the other to read first. Thread-safe.
class channel {
public:
  using time_point = std::chrono::steady_clock::time_point;

private:
  struct waiter;

public:
  enum class call_state : uint8_t {
    /// No answer yet; after the time limit, no answer by then.
    pending,
    answered,
    /// The connection has ended.
    lost,
  };

  /// One request on this connection. The caller owns it, and does not move it until it has ended.
  struct call {
    call_state state = call_state::pending;
    /// Whether the whole request was sent, so that the leader may have executed it.
    bool sent = false;
    /// The line that answers it.
    std::string answer;

  private:
    friend class channel;
    uint64_t id = 0;
    uint64_t end = 0;
    waiter* owner = nullptr;
  };

  /// Takes a connected non-blocking socket. `root` is the intended store; a leader of another one refuses the
  /// connection.
  explicit channel(descriptor socket, const std::optional<file_identity>& root = std::nullopt,
                   silence_policy silence = {});
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;
  ~channel();

  /// Sends a request and waits until `limit`, or until the leader is silent if the policy says so. `method` is any text
  /// in UTF-8, `params` is JSON on one line.
  void ask(call& call, std::string_view method, std::string_view params, time_point limit);

  /// Sends without waiting; `await_posted` returns it when it has ended. False when the connection has ended; then the
  /// call had no effect.
  bool post(call& call, std::string_view method, std::string_view params);

  /// Waits until some posted calls have ended, `poke` is called, or `limit`. Used by one thread at a time.
  std::vector<call*> await_posted(time_point limit);

  /// Ends a wait in `await_posted`, or the next one.
  void poke();

  /// Abandons a posted call; its answer is dropped. False if it has ended; `await_posted` has returned it or will.
  bool abandon(call& call);

  /// The leader accepts no further requests here, but may still answer earlier ones.
  void set_draining() noexcept { draining_ = true; }
  bool draining() const noexcept { return draining_; }

  /// Waits until the connection has ended; false if it has not by `limit`.
  bool await_loss(time_point limit);

  /// Ends the connection; calls that have not ended are lost.
  void close();

  bool lost() const noexcept { return lost_; }

  /// A message about a silent leader; nothing if it answers.
  std::optional<std::string> silence() const;

  /// The error with which the leader refused this connection: `protocol_mismatch`, `wrong_store` or `overloaded`.
  std::optional<failure> refusal() const;

private:
  using lock = std::unique_lock<std::mutex>;

  void append(call& call, std::string_view method, std::string_view params, waiter& owner);
  bool went_out(const call& call) const noexcept { return appended_ - (out_.size() - sent_) >= call.end; }
  void flush();
  void wait(lock& held, waiter& self, time_point limit);
  void read(lock& held, time_point limit);
  void take_in(ssize_t count, int code);
  time_point next_liveness_check() const noexcept;
  void check_liveness(lock& held);
  void dispatch(std::string_view line);
  void complete(call& call, call_state state);
  void answered(uint64_t id, std::string_view line);
  void dispatch_other(std::string_view line);
  void greeted(const nlohmann::json& answer);
  void lose();

  descriptor socket_;
  descriptor wake_;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> lost_ = false;

  mutable std::mutex mutex_;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, call*> pending_;
  std::optional<failure> refusal_;
  // Bytes to send, from `sent_` on; `appended_` counts all bytes from the start of the connection to their end.
  std::string out_;
  size_t sent_ = 0;
  uint64_t appended_ = 0;
  // The socket has no room; the peer has ended. Bytes that the leader sent before its end are still read.
  bool blocked_ = false;
  bool unsendable_ = false;
  // The thread that reads, and the threads that wait.
  waiter* reader_ = nullptr;
  std::vector<waiter*> followers_;
  std::unique_ptr<waiter> posting_;
  std::vector<call*> completed_;
  // Used by the reading thread.
  line_buffer in_;
  // When the leader last sent something or had nothing to answer; whether a `ping` was sent since.
  const silence_policy silence_;
  time_point last_received_at_{};
  bool ping_sent_ = false;
  bool is_silent_ = false;
};

} // namespace sluice
