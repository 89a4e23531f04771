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

/// What a connection does about a leader that is there and says nothing, as one does that is stopped.
struct silence_policy {
  /// After so long without a word, though it was asked for a sign of life, a leader is silent.
  std::chrono::milliseconds after{2'000};
  /// Whether `ask` ends then.
  bool ends_calls = false;
  /// Told then, in words for people, by one of the threads that wait. May be empty.
  std::function<void(std::string_view)> warn{};
};

/// One connection to a leader, shared by any number of threads. It greets, sends requests, and gives each answer to
/// whoever asked.
///
/// There is no thread behind it: of those that wait for answers one reads for all, and hands that on when it has its
/// own. A thread switch costs more here than the request itself. What cannot be sent at once is sent by the one that
/// reads, so neither side waits for the other to read first. Thread-safe.
class channel {
public:
  using time_point = std::chrono::steady_clock::time_point;

private:
  struct waiter;

public:
  enum class fate : uint8_t {
    /// Not answered yet; at the end of its time still not.
    pending,
    answered,
    /// The connection has ended.
    lost,
  };

  /// One request on this connection. It belongs to the caller, and stays where it is until it is settled.
  struct call {
    fate became = fate::pending;
    /// Whether the whole request has gone out, so that the leader may have done what it asks.
    bool sent = false;
    /// The line that answers it.
    std::string answer;

  private:
    friend class channel;
    uint64_t id = 0;
    uint64_t end = 0;
    waiter* owner = nullptr;
  };

  /// Takes a connected socket that does not block. `root` is the store that is meant; a leader of another one refuses
  /// the connection.
  explicit channel(descriptor socket, const std::optional<file_identity>& root = std::nullopt,
                   silence_policy silence = {});
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;
  ~channel();

  /// Asks and waits until `limit`, or until the leader is silent if the policy says so. `method` is any text in UTF-8,
  /// `params` is JSON on one line.
  void ask(call& x, std::string_view method, std::string_view params, time_point limit);

  /// Asks without waiting; `await_posted` tells when it is settled. False when the connection has ended; then it is as
  /// if it was not called.
  bool post(call& x, std::string_view method, std::string_view params);

  /// Waits until some posted calls are settled, `poke` is called, or `limit`. Used by one thread at a time.
  std::vector<call*> await_posted(time_point limit);

  /// Ends a wait in `await_posted`, or the next one.
  void poke();

  /// Gives a posted call up; its answer will go nowhere. False if it is settled, and `await_posted` has or will tell.
  bool abandon(call& x);

  /// The leader takes no new requests here, but may still answer old ones.
  void set_draining() noexcept { draining_ = true; }
  bool draining() const noexcept { return draining_; }

  /// Waits until the connection has ended; false if it has not by `limit`.
  bool await_loss(time_point limit);

  /// Ends the connection; what is not settled is lost.
  void close();

  bool lost() const noexcept { return lost_; }

  /// Of a leader that is silent, what to say of it; nothing if it answers.
  std::optional<std::string> silence() const;

  /// What the leader said of why it does not serve this connection: `protocol_mismatch`, `wrong_store` or, of one that
  /// is too busy, `overloaded`.
  std::optional<failure> refusal() const;

private:
  using lock = std::unique_lock<std::mutex>;

  void append(call& x, std::string_view method, std::string_view params, waiter& owner);
  bool went_out(const call& x) const noexcept { return appended_ - (out_.size() - sent_) >= x.end; }
  void flush();
  void wait(lock& held, waiter& self, time_point limit);
  void read(lock& held, time_point limit);
  void take_in(ssize_t count, int code);
  time_point next_look() const noexcept;
  void look_for_life(lock& held);
  void dispatch(std::string_view line);
  void settle(call& x, fate became);
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
  // What is still to be sent, from `sent_` on; counted from the start of the connection, it all ends at `appended_`.
  std::string out_;
  size_t sent_ = 0;
  uint64_t appended_ = 0;
  // No room at the moment; nobody there any more. What the leader sent before it went is read all the same.
  bool blocked_ = false;
  bool unsendable_ = false;
  // Who reads, and who waits for a turn.
  waiter* reader_ = nullptr;
  std::vector<waiter*> followers_;
  std::unique_ptr<waiter> posting_;
  std::vector<call*> settled_;
  // Used by the one that reads.
  line_buffer in_;
  // When the leader was last heard, or had nothing to answer; whether it was asked for a sign of life since.
  const silence_policy silence_;
  time_point heard_at_{};
  bool asked_for_life_ = false;
  bool is_silent_ = false;
};

} // namespace sluice
