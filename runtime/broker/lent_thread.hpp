#pragma once

#include "runtime/broker/blocking_pool.hpp"

#include <caf/scoped_execution_unit.hpp>

#include <array>
#include <optional>

namespace sluice {

/// The calling thread, for as long as it would otherwise wait for actors of a pool to be woken: it runs the actors that
/// it has asked itself, so that no thread of the pool has to be woken for the request, and none to wake this one with
/// the answer.
///
/// An actor that becomes ready on account of this thread is run by it in `run` if it is
/// - a coordinator, which never blocks;
/// - a reader, if what it was sent is known to be short;
/// - a writer that this thread has asked before `run`: for that one message, if the thread waits for the answer; for
///   all its messages, as long as they are known to be short, if the thread has other duties.
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
  enum class duty : uint8_t {
    /// The thread waits for the answer to its one request.
    waits,
    /// It serves others, and must not be kept for long.
    serves,
  };

  explicit lent_thread(blocking_pool* pool, duty has = duty::waits) noexcept;
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

  /// Whether the calling thread is lent now, and has other duties.
  static bool serves() noexcept;

  /// Whether this thread takes the actor; its reference then, too. For the pool.
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
  // By kind. Never more than one of each.
  std::array<caf::resumable*, 4> ready_{};
  std::optional<blocking_work> running_;
  bool has_begun_ = false;
  // Which this thread had on its own account.
  caf::logger* logger_before_ = nullptr;
};

} // namespace sluice
