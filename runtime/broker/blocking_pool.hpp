#pragma once

#include <caf/execution_unit.hpp>
#include <caf/fwd.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sluice {

/// The kinds of blocking work of actors. Each kind has threads that the others cannot take.
enum class blocking_work : uint8_t {
  /// The cache, the cursors and the deadline watch. They never block, and actors that block cannot take their threads.
  coordination,
  /// The supervisor, the audit, the log and the buffer: one actor each.
  service,
  /// A writer of a database.
  write,
  /// A reader of a database.
  read,
};

/// The kinds of `lent_thread` that may run an actor that becomes ready.
enum class lending : uint8_t {
  none,
  /// A thread that waits for the answer anyway.
  to_waiting,
  /// Also a thread with other duties: the actor's messages are known to be short.
  to_any,
};

/// An actor of the pool, from the view of a `lent_thread`.
class pooled_job {
public:
  virtual ~pooled_job() = default;

  /// Whether its mailbox may hold messages that are not known to be short.
  virtual bool has_long_work() const noexcept = 0;
};

struct blocking_pool_settings {
  /// Threads that run writers and readers; fewer than 4 count as 4.
  size_t threads = 16;
  /// A thread that was idle for this time ends, as long as `blocking_pool::kept_threads` are left.
  std::chrono::milliseconds keep_idle{10'000};
  /// A writer that has used its thread for this time no longer counts as using its place: another writer may get a
  /// further thread.
  std::chrono::milliseconds long_write{250};
  /// Creates a thread that runs `work`; throws `std::system_error` when the system allows none.
  std::function<std::thread(std::function<void()> work)> make_thread = [](std::function<void()> work) {
    return std::thread{std::move(work)};
  };
};

/// The threads on which actors block in SQLite and in files: one pool for all databases of a broker, which creates
/// threads on demand.
///
/// Writers leave one of the threads to readers, readers leave two to writers, and the other kinds have their own. Long
/// reads therefore delay no write and no audit, and no actor of the broker waits for the scheduler of its host.
/// Databases do not wait for each other: when writers hold all threads that they may have, and some of them for long,
/// there are up to `extra_shares` times as many more for the other writers. Within a kind, actors run in the order in
/// which their messages arrived. Messages of a coordinator or a reader wake a thread only at the end of its turn,
/// because mostly the thread that it ran on can take the receiver; such an actor must not wait for an answer before its
/// handler returns. When the system allows no further thread, the pool continues with those it has, and tries again
/// after a second.
///
/// Thread-safe. Actors run here if `spawn_pooled` spawned them; they keep the pool alive, but do not run any more after
/// `stop`.
class blocking_pool {
public:
  static constexpr size_t coordination_threads = 2;
  static constexpr size_t service_threads = 4;
  /// Created at once and kept until `stop`, so that a lack of threads can never leave the pool without one.
  static constexpr size_t kept_threads = 4;
  /// Threads for writers while others write for long, as a multiple of `threads`.
  static constexpr size_t extra_shares = 3;

  /// `system` outlives `stop`. Throws `std::system_error` when the first threads cannot be made.
  blocking_pool(caf::actor_system& system, blocking_pool_settings settings);
  blocking_pool(const blocking_pool&) = delete;
  blocking_pool& operator=(const blocking_pool&) = delete;
  ~blocking_pool();

  /// Runs the actors that it is given on this pool, or on the calling thread if that is a `lent_thread` that may run
  /// them; any thread may call it. Valid as long as the pool.
  caf::execution_unit* unit(blocking_work kind, lending lends = lending::none) noexcept {
    return &units_[3 * static_cast<size_t>(kind) + static_cast<size_t>(lends)];
  }

  /// Runs the waiting jobs, and ends the threads. Must not be called by one of them. Idempotent.
  void stop();

  /// Whether the calling thread belongs to this pool, so that `stop` would wait for it.
  bool is_own_thread() const noexcept;

  /// Whether the calling thread is one of any pool's.
  static bool is_in_pool() noexcept;

  /// The maximum number of threads for writers and readers.
  size_t max_threads() const noexcept { return settings_.threads; }

  /// The current number of threads.
  size_t threads() const;

private:
  friend class lent_thread;

  struct worker {
    std::thread thread;
    std::condition_variable wake;
    bool is_idle = false;
    // The time since which it runs a writer; the minimum if it does not.
    std::chrono::steady_clock::time_point writes_since{};
  };
  using worker_ptr = std::shared_ptr<worker>;

  // Actors of one kind.
  struct lane {
    std::deque<caf::resumable*> waiting;
    size_t running = 0;
  };

  class lane_unit final : public caf::execution_unit {
  public:
    lane_unit(blocking_pool& pool, caf::actor_system& system, size_t index)
      : caf::execution_unit(&system), pool_(&pool), kind_(static_cast<blocking_work>(index / 3)),
        lends_(static_cast<lending>(index % 3)) {}
    void exec_later(caf::resumable* job) override;

  private:
    blocking_pool* pool_;
    blocking_work kind_;
    lending lends_;
  };

  // The next task of a thread.
  struct task {
    caf::resumable* job = nullptr;
    blocking_work kind = blocking_work::service;
  };

  template <size_t... Is> std::array<lane_unit, sizeof...(Is)> make_units(std::index_sequence<Is...>);
  lane& lane_of(blocking_work kind) noexcept { return lanes_[static_cast<size_t>(kind)]; }
  void submit(blocking_work kind, caf::resumable* job);
  bool begin_lent() noexcept;
  void end_lent() noexcept;
  bool has_room(size_t kind) const noexcept;
  size_t long_writers() const noexcept;
  bool has_work() const noexcept;
  bool needs_watch() const noexcept;
  task take() noexcept;
  task take_short_read() noexcept;
  task take_from(blocking_work kind) noexcept;
  worker_ptr take_idle() noexcept;
  worker_ptr find_worker();
  void grow();
  void add_worker();
  void run(const worker_ptr& self);
  void watch(const worker_ptr& self, std::unique_lock<std::mutex>& lock);
  bool wait_for_work(const worker_ptr& self, std::unique_lock<std::mutex>& lock);
  void end_worker(const worker_ptr& self);

  caf::actor_system& system_;
  const blocking_pool_settings settings_;
  // By kind, and for each by `lending`.
  std::array<lane_unit, 12> units_;
  mutable std::mutex mutex_;
  std::array<lane, 4> lanes_;
  std::vector<worker_ptr> workers_;
  // Idle threads; the last one was busy last.
  std::vector<worker_ptr> idle_;
  // A thread will check in a moment whether writers have become long ones.
  bool is_watched_ = false;
  // Threads whose actor has no further messages, and that are about to take the lock.
  std::atomic<size_t> returning_{0};
  // Threads of the host that are running actors; `stop` waits for them.
  std::atomic<uint32_t> lent_{0};
  std::atomic<bool> refuses_lent_{false};
  // Threads that have ended, or are about to.
  std::vector<std::thread> ended_;
  // Whether the system refused the last thread, and when to try again.
  bool is_exhausted_ = false;
  std::chrono::steady_clock::time_point retry_at_{};
  bool is_stopping_ = false;
  bool is_stopped_ = false;
};

} // namespace sluice
