#pragma once

#include "runtime/broker/blocking_pool.hpp"

#include <caf/scoped_execution_unit.hpp>

#include <array>
#include <optional>

namespace sluice {

/// The calling thread of the host, for as long as it waits for an answer of actors of a pool: it runs these actors
/// itself, so that no thread of the pool has to be woken for the request, and none to wake this one with the answer.
///
/// An actor that becomes ready on account of this thread is run by it in `run` if it is
/// - a writer that this thread has asked before `run`, for that one message;
/// - a coordinator, which never blocks;
/// - a reader, if what it was sent is known to be short (`blocking_pool::unit`).
/// The pool runs all others, and what is left when the answer is there. So a request is not held up behind a longer one
/// because the thread that waits for it runs that one.
///
/// The idea is that of flat combining (Hendler, Incze, Shavit, Tzafrir: "Flat Combining and the
/// Synchronization-Parallelism Tradeoff", SPAA 2010): who finds the lock taken leaves the work to the one that has it.
///
/// Belongs to the thread that made it, and is destroyed there. Within another one, or in a thread of a pool, it does
/// nothing.
class lent_thread {
public:
  explicit lent_thread(blocking_pool* pool) noexcept;
  lent_thread(const lent_thread&) = delete;
  lent_thread& operator=(const lent_thread&) = delete;
  /// The pool runs what is left.
  ~lent_thread();

  /// Runs actors until none is left that may be run here, or `is_done()` is true.
  template <class Predicate> void run(Predicate is_done) {
    if (!has_work() || !begin())
      return;
    while (has_work() && !is_done())
      run_next();
    end();
  }

  /// Whether this thread takes the actor; its reference then, too. For the pool.
  static bool keep(const blocking_pool& pool, blocking_work kind, caf::resumable* job) noexcept;

private:
  bool has_work() const noexcept;
  bool may_keep(blocking_work kind) const noexcept;
  bool begin();
  void end() noexcept;
  void run_next();

  blocking_pool* pool_;
  std::optional<caf::scoped_execution_unit> context_;
  // By kind. Never more than one of each.
  std::array<caf::resumable*, 4> ready_{};
  std::optional<blocking_work> running_;
  bool has_begun_ = false;
};

} // namespace sluice
