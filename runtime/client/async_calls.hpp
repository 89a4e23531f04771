#pragma once

#include "messages/cancel_token.hpp"
#include "runtime/client/client.hpp"
#include "runtime/client/leader_link.hpp"
#include "runtime/client/retrying_call.hpp"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace sluice {

/// A call that no thread waits for.
class async_call {
public:
  explicit async_call(retrying_call operation) : op(std::move(operation)) {}
  virtual ~async_call() = default;

  /// Sets the future; called once.
  virtual void finish(caf::expected<nlohmann::json> answer) = 0;

  /// Sets the future when this process leads meanwhile: calls `leader`, and passes on its answer.
  virtual void finish_with(client& leader) = 0;

  retrying_call op;
  channel::call tried;
  /// Cancelled when the caller gives the call up; the client then asks the leader to cancel the request `request_id`.
  cancel_token cancel;
  std::string request_id;

private:
  friend class async_calls;
  // Counts this call as one that can be cancelled.
  std::shared_ptr<void> counted_;
  // When to send the leader the next cancel, and the pause after that.
  channel::time_point ask_at_{};
  std::chrono::milliseconds ask_again_{20};
};

/// The calls of one client that no thread waits for: their callers send them, and a thread that the first call starts
/// completes them. Thread-safe.
class async_calls {
public:
  /// `link` outlives this.
  explicit async_calls(leader_link& link) : link_(link) {}
  async_calls(const async_calls&) = delete;
  async_calls& operator=(const async_calls&) = delete;
  /// Ends calls under way as `errc::cancelled`; those that were sent have the outcome `unknown`. Stops the link.
  ~async_calls();

  void start(std::unique_ptr<async_call> call);

private:
  using time_point = channel::time_point;
  using lock = std::unique_lock<std::mutex>;
  using owned = std::unique_ptr<async_call>;

  void run();
  bool can_send() const;
  void expire(lock& held);
  void send_unsent(lock& held);
  void await_answers(lock& held);
  bool any_cancellable() const noexcept { return cancellable_.use_count() > 1; }
  void send_cancels(lock& held);
  void ask_to_cancel(const std::string& request_id);
  void take(lock& held, const std::vector<channel::call*>& completed);
  bool post(owned& owner);

  leader_link& link_;
  std::mutex mutex_;
  std::condition_variable work_;
  bool stopped_ = false;
  // Calls on `connection_`, and those that wait for a connection and must not be sent before `retry_at_`.
  std::shared_ptr<channel> connection_;
  std::unordered_map<channel::call*, owned> under_way_;
  std::vector<owned> unsent_;
  time_point retry_at_{};
  // No call ends before this time; updated when it is reached.
  time_point next_limit_ = time_point::max();
  // Its reference count is the number of calls that can be cancelled.
  std::shared_ptr<void> cancellable_ = std::make_shared<char>();
  time_point next_token_check_{};
  std::thread thread_;
};

} // namespace sluice
