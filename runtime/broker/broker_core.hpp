#pragma once

#include "actors/log/log_queue.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/database_bounds.hpp"
#include "actors/shared/result_cache.hpp"
#include "messages/refusal.hpp"
#include "runtime/broker/answer_receiver.hpp"
#include "runtime/broker/blocking_pool.hpp"
#include "runtime/broker/front_door_guard.hpp"
#include "runtime/broker/lent_thread.hpp"
#include "runtime/broker/own_system.hpp"
#include "runtime/broker/system_access.hpp"
#include "runtime/capsule/capsule_authority.hpp"
#include "runtime/os/descriptor.hpp"
#include "runtime/os/forks.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/os/open_files.hpp"
#include "runtime/os/random_seed.hpp"
#include "runtime/sqlite/core/answer_budget.hpp"
#include "runtime/store/config.hpp"
#include "runtime/store/file_registry.hpp"
#include "runtime/store/live_policy.hpp"
#include "runtime/store/store_lock.hpp"

#include <caf/all.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace sluice {

namespace sqlite {
class file_claims;
class file_guard;
} // namespace sqlite

/// The parts of the machine that a broker uses; a simulation has its own. They outlive the broker.
struct environment {
  std::shared_ptr<const clock> time = std::make_shared<machine_clock>();
  /// Whether blocking actors run on a pool of threads of their own, which the scheduler does not use.
  bool own_threads = true;
  /// Generates the seed of each actor's random numbers; called by one thread at a time.
  std::function<uint64_t()> seed = random_seed;
};

/// The state that a broker and its databases share. Outlives the actors, their system, and every `database` handle:
/// these may be used and destroyed by any thread at any time.
struct broker_core : std::enable_shared_from_this<broker_core> {
  broker_config config;
  environment env;
  const clock& time;
  store_root root;
  /// Open until the lock is released, so that no other folder gets the inode of the root: a store is known by it.
  descriptor held_folder;
  std::optional<store_lock> lock;
  /// Accesses files only when capsules are used.
  capsule_authority capsules{root, time};
  live_policy policy{root.path(), config.policy, time};

  /// Set only in a broker for hosts of plain threads. `end` destroys it.
  std::unique_ptr<own_system> owned;
  /// `owned` or the host's system. Valid during a use of `access`, and for the broker's actors.
  caf::actor_system* system = nullptr;
  std::shared_ptr<system_access> access = std::make_shared<system_access>();
  /// Null when blocking actors have no threads of their own.
  std::shared_ptr<blocking_pool> pool;

  /// The guard of the front door, which may outlive this.
  std::shared_ptr<front_door_guard> door = std::make_shared<front_door_guard>();

  std::shared_ptr<actor_registry> actors = std::make_shared<actor_registry>(env.time);
  std::shared_ptr<result_cache> hits;
  /// The memory for the rows of all databases.
  std::shared_ptr<answer_budget> answers = make_answer_budget(config);
  /// The descriptors of all databases.
  std::shared_ptr<open_files> descriptors = std::make_shared<open_files>(config.max_open_files);
  /// The snapshots of the host's threads that are open.
  std::atomic<uint64_t> snapshots{0};
  std::shared_ptr<std::atomic<uint64_t>> misses = std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<std::atomic<uint64_t>> joined = std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<actor_stats> stats =
    std::make_shared<actor_stats>(slow_limits{config.slow_queue, config.slow_execution});
  const clock::steady started = time.now();
  // Hosts may keep it for longer than the broker.
  std::shared_ptr<log_queue> log;
  refusal_actor refusals;
  cursors_actor cursors;

  broker_core(broker_config cfg, store_root where, store_lock held, environment machine = {});
  broker_core(const broker_core&) = delete;
  broker_core& operator=(const broker_core&) = delete;
  ~broker_core();

  /// Spawns the actors in `in`, or in a system of its own when null. Waits until they run, and until the audit has the
  /// order to read the ledgers: its lists then include the commits of a killed broker that only the ledgers have.
  /// `errc::unavailable` when the system refuses threads or memory for that.
  caf::error start(caf::actor_system* in);

  /// Ends the actors in order. The first call returns the error when something was lost. If another thread has begun,
  /// waits for that thread. Thread-safe.
  caf::error shutdown();

  /// Shuts down, and releases the actor system. The broker's own system is destroyed; if one of its threads calls this,
  /// after the call. Idempotent, thread-safe.
  void end();

  /// Whether the calling thread is one of the broker's, which calls a function of the host (`on_warning`,
  /// `on_failure`): such a function must not wait for the broker.
  bool is_own_thread() const noexcept { return pool && pool->is_own_thread(); }

  /// For a thread of the broker: closes the front door at once, and calls `end` in another thread.
  void end_later();

  /// Ends this before the host's `system` ends, whichever of the broker and the system the host destroys first.
  void end_with(caf::actor_system& system);

  /// The error when the broker cannot be used in this process, because the process was forked from the one that opened
  /// it.
  std::optional<failure> in_child() const;

  /// The two halves of `start`, and the second of `shutdown`, for a caller that runs the actors in its own thread and
  /// therefore cannot wait for them: `spawn` spawns them; the others complete the audit, once the supervisor has
  /// answered a ping, and remove the files that only a leader needs, once the supervisor has closed.
  void spawn(caf::actor_system* in);
  void complete_audit();
  void leave();

  /// Drops the actors, which have been killed, as if the process had been killed.
  void abandon();

  /// The registry of the files; created on first use. Thread-safe.
  std::shared_ptr<file_registry> registry();

  /// The state that the connections to a database share; created on first use. Thread-safe.
  std::shared_ptr<sqlite::file_guard> files_of(const std::string& db);

  /// The error when this name has no database: `errc::unknown_database` when its file is missing and `must_exist`, or
  /// when its folder is missing. @param canonical the result of `resolve`
  caf::error find(const std::string& canonical, bool must_exist) const;

  /// The error when this broker ended without a shutdown, because its supervisor ended; else nothing.
  /// Thread-safe.
  std::optional<failure> why_failed() const;

  /// Sets the function that is called once, from any thread, when the broker ends without a shutdown.
  void on_failure(std::function<void(const failure&)> callback);

  /// `store_root::resolve` with a cache of names that are canonical already; other names may be links that lead
  /// elsewhere the next time. `unavailable` for other names when this process does not lead the store any more.
  /// Thread-safe.
  caf::expected<std::string> resolve(const std::string& name);

  /// Claims the folder of the database, so that no other broker opens databases in it; `lock` claims the root. Fails
  /// with `errc::busy` when another broker works in that
  /// folder, or as `store_root::resolve`. @param canonical the result of `resolve`. Thread-safe.
  caf::error claim_folder_of(const std::string& canonical);

  /// Sends requests of a plain thread to actors and waits for the answers. Each thread has its own.
  class waiter {
  public:
    explicit waiter(broker_core& core);
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;
    ~waiter();

    /// The error when no request can be sent, or nothing.
    const std::optional<failure>& refused() const noexcept { return refused_; }

    /// The id of the answer. @pre not refused
    template <class Handle, class... Content> caf::message_id ask(const Handle& target, Content&&... content) {
      return ask_for(self_, target, receiver().next(), std::forward<Content>(content)...);
    }

    /// Waits for the answer to the last `ask`. `caf::sec::request_timeout` when it has not come in time.
    template <class Result> caf::expected<Result> wait(std::optional<std::chrono::milliseconds> timeout = {}) {
      lent_.run([this] { return receiver().has_answer(); });
      auto answer = receiver().wait(timeout);
      if (!answer)
        return caf::make_error(caf::sec::request_timeout);
      return core_.explain(read_answer<Result>(*answer));
    }

    const caf::strong_actor_ptr& self() const noexcept { return self_; }

  private:
    blocking_receiver& receiver() const noexcept { return *static_cast<blocking_receiver*>(self_->get()); }

    broker_core& core_;
    std::optional<failure> refused_;
    system_access::use use_;
    lent_thread lent_;
    caf::strong_actor_ptr self_;
  };

  /// Sends `content` to `target` and waits for the answer; `unavailable` when the broker has been shut down.
  template <class Result, class Handle, class... Content>
  caf::expected<Result> ask(const Handle& target, Content... content) {
    if (!target)
      return make_error(closed_error());
    waiter self{*this};
    if (self.refused())
      return make_error(*self.refused());
    self.ask(target, std::move(content)...);
    return self.wait<Result>();
  }

  /// The error of a request that comes after the end: in a forked child, or after a shutdown.
  failure closed_error() const;

  /// After a shutdown, replaces CAF's error for an ended actor, which says that the actor is being restarted.
  template <class Result> caf::expected<Result> explain(caf::expected<Result> answer) const {
    if (!answer && answer.error().category() == caf::atom("system") && is_closed())
      return make_error(closed_error());
    return answer;
  }

  bool is_closed() const;

  /// The configured bounds of each database. This outlives the result.
  bounds_of_database bounds() const;

  /// Records a request that no actor records. @param status "ok", or the name of an error code. Thread-safe.
  void record(const unrecorded_request& request, std::string_view status);

  /// Passes a warning for its operator to the host. Thread-safe.
  void warn(std::string_view text);

  /// The receiver of these warnings; called by one thread at a time.
  void on_warning(std::function<void(std::string_view)> callback);

private:
  enum class state : uint8_t { open, closing, closed };

  static failure in_own_thread();
  void announce_end();
  bool begin_to_close();
  void closing_is_done();
  void make_pool();
  void stop_pool();
  void supervisor_ended();
  void end_children();
  void forget_actors();
  // Removes the WAL files of databases that were only read, by the audit too.
  void remove_wal_files();

  mutable std::mutex mutex_;
  std::vector<caf::strong_actor_ptr> idle_waiters_;
  std::unordered_set<std::string> resolved_;
  // The claims of the folders below the root.
  std::map<file_identity, folder_claim> claims_;
  std::shared_ptr<file_registry> registry_;
  std::shared_ptr<sqlite::file_claims> file_claims_;
  std::map<std::string, std::shared_ptr<sqlite::file_guard>> files_;
  state state_ = state::open;
  std::condition_variable closed_;
  const uint64_t forks_ = fork_count();
  // Databases whose ledgers the audit reads at the start.
  std::vector<std::string> audited_;
  std::mutex warning_mutex_;
  std::function<void(std::string_view)> on_warning_;
  std::optional<failure> failure_;
  std::function<void(const failure&)> on_failure_;
};

} // namespace sluice
