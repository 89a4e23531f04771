#pragma once

#include "runtime/client.hpp"
#include "runtime/frontdoor/client/leader_link.hpp"
#include "runtime/frontdoor/client/operation.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace sluice {

/// A call that nobody waits for.
class async_call {
public:
  explicit async_call(operation x) : op(std::move(x)) {}
  virtual ~async_call() = default;

  /// Gives the answer to whoever has the future; once.
  virtual void finish(caf::expected<nlohmann::json> answer) = 0;

  /// The same where this process leads by now: asks `leader`, and gives its answer.
  virtual void finish_with(client& leader) = 0;

  operation op;
  channel::call tried;
};

/// The calls of one client that nobody waits for: sent by those that make them, and seen to their end by a thread that
/// the first one starts. Thread-safe.
class async_calls {
public:
  /// `link` outlives this.
  explicit async_calls(leader_link& link) : link_(link) {}
  async_calls(const async_calls&) = delete;
  async_calls& operator=(const async_calls&) = delete;
  /// Calls under way end as `errc::cancelled`, those that were sent with the outcome `unknown`. Stops the link.
  ~async_calls();

  void start(std::unique_ptr<async_call> x);

private:
  using time_point = channel::time_point;
  using lock = std::unique_lock<std::mutex>;
  using owned = std::unique_ptr<async_call>;

  void run();
  bool can_send() const;
  void expire(lock& held);
  void send_unsent(lock& held);
  void await_answers(lock& held);
  void take(lock& held, const std::vector<channel::call*>& settled);
  bool post(owned& x);

  leader_link& link_;
  std::mutex mutex_;
  std::condition_variable work_;
  bool stopped_ = false;
  // Calls on `via_`, and those that wait for a connection, not to be sent before `retry_at_`.
  std::shared_ptr<channel> via_;
  std::unordered_map<channel::call*, owned> under_way_;
  std::vector<owned> unsent_;
  time_point retry_at_{};
  // No call ends before; looked up again when it is reached.
  time_point next_limit_ = time_point::max();
  std::thread thread_;
};

} // namespace sluice
