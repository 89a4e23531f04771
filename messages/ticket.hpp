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

/// A write from its admission to a queue until its answer. It outlives the message that carries it, so that a request
/// can be answered while its writer is busy and does not read its mailbox: `queued -> running -> done`, or `queued ->
/// given up` and `running -> given up`. The first caller answers. Thread-safe.
class ticket {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// The description of a request in its queue.
  struct description {
    std::string agent;
    /// As given by the client; empty if it gave none.
    std::string request_id;
    peer_identity peer;
    /// The first statement.
    sql_text sql;
    /// The bytes that it counts for in the bounds of its queue.
    uint64_t bytes = 0;
    time_point received;
    time_point deadline;
  };

  explicit ticket(description info) : info_(std::move(info)) {}
  ticket(const ticket&) = delete;
  ticket& operator=(const ticket&) = delete;

  const description& info() const noexcept { return info_; }

  /// From now on it can be given up: `give_up` answers the actor `to` with the response `id`.
  void answer_to(caf::strong_actor_ptr to, caf::message_id id);

  /// Called by its actor when it executes the request. False when the request has been given up.
  bool begin() noexcept;

  /// Called by its actor before it answers the request itself. False when it has been answered already.
  bool finish() noexcept;

  /// Answers instead of the actor, with the given error: `not_committed` while the request is queued, `unknown` while
  /// it runs. A running request must stop. False when it is answered already, or cannot be given up yet.
  bool give_up(failure error);

  /// Makes its actor end the request with the given error, if it runs. False when it does not run.
  bool interrupt(failure error);

  /// Whether the execution must stop. Costs one load; SQLite's progress handler calls it.
  bool interrupted() const noexcept { return interrupted_.load(std::memory_order_acquire); }

  /// Whether it has been answered, by its actor or by `give_up`.
  bool answered() const noexcept;

  /// Whether it is being executed or waits for the COMMIT.
  bool running() const noexcept { return state_.load() == state::running; }

  /// The error with which it was given up or interrupted. @pre one of the two
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

  // The position of the ticket in its queue.
  friend class write_quota;
  size_t place_ = 0;
};

} // namespace sluice
