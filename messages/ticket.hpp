#pragma once

#include "messages/error.hpp"
#include "messages/peer_identity.hpp"
#include "messages/statement.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/message_id.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace sluice {

/// A write from its admission to a queue until its answer. It outlives the message in which it travels, so that a
/// request can be answered while its writer is busy and does not look into its mailbox: `queued -> running -> done`, or
/// `queued -> given up` and `running -> given up`. The first caller answers. Thread-safe.
class ticket {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// The entry of a request in its queue.
  struct description {
    std::string agent;
    /// As the client gave it; empty if it did not.
    std::string request_id;
    peer_identity peer;
    /// The first statement.
    sql_text sql;
    /// Its size in the bounds of its queue.
    uint64_t bytes = 0;
    time_point received;
    time_point deadline;
  };

  explicit ticket(description info) : info_(std::move(info)) {}
  ticket(const ticket&) = delete;
  ticket& operator=(const ticket&) = delete;

  const description& info() const noexcept { return info_; }

  /// From now on it can be given up: the answer goes to the actor `to`, as the response `id`.
  void answer_to(caf::strong_actor_ptr to, caf::message_id id);

  /// For its actor: the request is executed from now on. False when it has been given up.
  bool begin() noexcept;

  /// For its actor, which answers itself. False when it has been answered already.
  bool finish() noexcept;

  /// Answers in the actor's place, for the reason given: `not_committed` while it is queued, `unknown` once it runs. A
  /// running request must stop. False when it is answered already, or cannot be yet.
  bool give_up(failure error);

  /// Has its actor end it for the reason given, if it runs. False when it does not.
  bool interrupt(failure error);

  /// Whether what is executed is to stop. Costs a load; asked by SQLite's progress handler.
  bool interrupted() const noexcept { return interrupted_.load(std::memory_order_acquire); }

  /// Whether it has been answered: by its actor, or because it was given up.
  bool answered() const noexcept;

  /// Whether it is executed, or waits for the COMMIT.
  bool running() const noexcept { return state_.load() == state::running; }

  /// Why it was given up or interrupted. @pre one of the two
  failure reason() const;

private:
  enum class state : uint8_t { queued, running, done, given_up };

  const description info_;
  std::atomic<state> state_{state::queued};
  std::atomic<bool> interrupted_{false};
  mutable std::mutex mutex_;
  caf::strong_actor_ptr to_;
  caf::message_id id_;
  failure reason_;

  // Where its queue keeps it.
  friend class write_quota;
  size_t place_ = 0;
};

} // namespace sluice
