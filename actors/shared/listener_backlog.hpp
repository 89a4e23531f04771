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
  /// Messages that wait in the listener's mailbox at most, beside the one that stands for all that follow.
  static constexpr size_t most_waiting = 10'000;

  listener_backlog(caf::actor_addr to, std::string db) : to_(std::move(to)), db_(std::move(db)) {}

  const caf::actor_addr& address() const noexcept { return to_; }

  /// Sends `change`. When too many wait, one message with `everything` stands for `change` and all later ones until the
  /// listener has handled that message; another one follows if any came meanwhile. So a listener that has handled all
  /// of its messages knows of every commit. False when the listener is gone. Called by one thread at a time.
  bool tell(const invalidation& change);

  /// Sends nothing more once this returns.
  void leave();

private:
  void send(const invalidation_listener& to, invalidation change, bool is_summary);
  void handled(bool stood_for_all);

  const caf::actor_addr to_;
  const std::string db_;
  // An actor that has ended drops a message in the thread that sends it.
  std::recursive_mutex mutex_;
  size_t waiting_ = 0;
  bool is_behind_ = false;
  // Something came while the message that stands for all waited.
  bool missed_ = false;
  bool left_ = false;
};

} // namespace sluice
