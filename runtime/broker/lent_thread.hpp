#pragma once

#include "runtime/broker/blocking_pool.hpp"

#include <caf/logger.hpp>
#include <caf/scoped_execution_unit.hpp>

#include <array>
#include <optional>

namespace sluice {

/// Lets the calling thread run the actors that it has sent requests to while it would otherwise wait for them, so that
/// no thread of the pool has to be woken for the request, and none has to wake this thread with the answer.
///
/// An actor that becomes ready because of this thread is run by it in `run` if it is
/// - a coordinator, which never blocks;
/// - a reader, if its query is known to be short;
/// - a writer to which this thread has sent a request before `run`: for that one message, if the thread waits for the
///   answer; for all its messages, as long as they are known to be short, if the thread has other duties.
/// The pool runs all others, and those that are left when the answer has arrived. A request is therefore not delayed by
/// a longer one that the waiting thread runs.
///
/// The idea is that of flat combining (Hendler, Incze, Shavit, Tzafrir: "Flat Combining and the
/// Synchronization-Parallelism Tradeoff", SPAA 2010): a thread that finds the lock taken leaves its work to the holder.
///
/// Belongs to the thread that creates it, and is destroyed there. Within another one, or in a thread of a pool, it has
/// no effect.
class lent_thread {
public:
  enum class duty : uint8_t {
    /// The thread waits for the answer to its one request.
    waits,
    /// The thread serves other clients, and must not be blocked for long.
    serves,
  };

  explicit lent_thread(blocking_pool* pool, duty has = duty::waits) noexcept;
  lent_thread(const lent_thread&) = delete;
  lent_thread& operator=(const lent_thread&) = delete;
  /// The pool runs the remaining actors.
  ~lent_thread();

  /// Runs actors until none is left that may run here, or `is_done()` is true.
  template <class Predicate> void run(Predicate is_done) {
    if (!has_work() || !begin())
      return;
    while (has_work() && !is_done())
      run_next();
    end();
  }

  /// Whether the calling thread is lent now and has other duties.
  static bool serves() noexcept;

  /// Called by the pool: whether this thread takes the actor and its reference.
  static bool keep(const blocking_pool& pool, blocking_work kind, lending lends, caf::resumable* job) noexcept;

private:
  bool has_work() const noexcept;
  bool may_keep(blocking_work kind, lending lends) const noexcept;
  bool begin();
  void end() noexcept;
  void run_next();
  bool may_go_on(blocking_work kind) const noexcept;

  blocking_pool* pool_;
  duty duty_;
  std::optional<caf::scoped_execution_unit> context_;
  // By kind; at most one of each.
  std::array<caf::resumable*, 4> ready_{};
  std::optional<blocking_work> running_;
  bool has_begun_ = false;
  // The logger that this thread had before.
  caf::logger* logger_before_ = nullptr;
};

} // namespace sluice
