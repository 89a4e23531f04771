#pragma once

#include "messages/interfaces.hpp"

#include <caf/all.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

namespace sluice {

/// The messages that one listener of a database has not handled yet. Their number is bounded, so that a stalled
/// listener costs a bounded amount of memory. Thread-safe.
class listener_backlog : public std::enable_shared_from_this<listener_backlog> {
public:
  /// Limit of change messages in the listener's mailbox; one summary message may come on top.
  static constexpr size_t max_waiting = 10'000;

  listener_backlog(caf::actor_addr to, std::string db) : to_(std::move(to)), db_(std::move(db)) {}

  const caf::actor_addr& address() const noexcept { return to_; }

  /// Sends `change`. At the limit it sends one summary (`everything`) instead, and nothing more until the listener has
  /// handled it; if changes came meanwhile, another summary follows. A listener that has handled all of its messages
  /// therefore knows of every commit. False when the listener is gone. Called by one thread at a time.
  bool notify(const invalidation& change);

  /// Sends nothing more after it returns.
  void close();

private:
  void send(const invalidation_listener& to, invalidation change, bool is_summary);
  void handled(bool stood_for_all);

  const caf::actor_addr to_;
  const std::string db_;
  // Recursive: if the listener has ended, `send` destroys the message in this thread, which calls `handled`.
  std::recursive_mutex mutex_;
  size_t waiting_ = 0;
  bool is_behind_ = false;
  // A change came while the summary waited.
  bool has_missed_change_ = false;
  bool is_closed_ = false;
};

} // namespace sluice
