#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/broker/broker_core.hpp"
#include "runtime/sqlite/faults/fault_vfs.hpp"
#include "tests/simulation/execution_time.hpp"
#include "tests/simulation/history.hpp"
#include "tests/simulation/memory_disk.hpp"
#include "tests/simulation/readiness.hpp"
#include "tests/simulation/trace.hpp"
#include "tests/support/fake_clock.hpp"

#include <caf/scheduler/test_coordinator.hpp>

#include <functional>
#include <memory>
#include <optional>

namespace sluice::simulation {

/// A folder with a path of fixed length, which is removed with its content at the end.
class run_folder {
public:
  run_folder();
  ~run_folder();
  run_folder(const run_folder&) = delete;
  run_folder& operator=(const run_folder&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
  std::filesystem::path path_;
};

/// A machine with a disk, a clock and one process on it: the real broker, whose actors run one message at a time in the
/// caller's thread, in an order that the dice decide.
class world {
public:
  world(const settings& set, dice& luck, trace& trace);
  ~world();
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  /// Replaces the settings from the next start on; databases are then opened on demand.
  void configure(broker_config config) { configured_ = std::move(config); }

  /// Starts a broker on the content of the disk. It needs some steps to be ready.
  void boot();
  bool is_up() const noexcept { return core_ != nullptr; }
  bool ready() const noexcept { return ready_; }

  /// Asks the broker to close in order; it is `closed` some steps later, and then may be booted again after `leave`.
  void close();
  bool closing() const noexcept { return closing_; }
  bool closed() const noexcept { return closed_; }
  /// Calls `on_death` if the process dies while it ends; then all handles to its disk must be released.
  void leave(const std::function<void()>& on_death = {});

  /// Kills the process; with `power`, cuts the power of the machine as well. The disk is then as after a restart.
  void die(bool power);

  /// Kills the process if it runs; must be called before the receivers of answers are destroyed.
  void end();
  /// Whether the process died in the middle of a step, and whether by a power cut; the caller must call `die`.
  bool died() const noexcept { return died_; }
  bool lost_power() const noexcept { return lost_power_; }

  /// Takes the disk from the process; the caller must call `die`.
  void cut() { disk_->cut_power(); }
  bool is_open(const std::filesystem::path& file) const { return disk_->is_open(file.string()); }

  /// Runs one message of an actor; false when there is none.
  bool step();
  void advance(std::chrono::milliseconds by);
  /// Like `advance`, but not beyond the time at which an actor is ready.
  void pass(std::chrono::milliseconds by);
  /// Whether an actor must run before time advances, with `settings::timed`.
  bool is_late() const { return set_.timed && ready_to_run_.is_late(time_->now()); }
  /// The time in which the simulation has kept actors from running, beyond that of a machine.
  std::chrono::nanoseconds stalled() const noexcept { return ready_to_run_.stalled(); }
  std::chrono::milliseconds executed(const lane& lane) const { return execution_time_.spent(lane); }
  /// Sets the wall clock.
  void set_wall(std::chrono::milliseconds by) { time_->jump(by); }

  /// Ends the request with this id, as its owner may.
  void cancel(const std::string& request_id);

  /// Kills an actor of the broker; by name, as in `incident::kind`.
  void kill(incident::kind whom, uint32_t db);
  void when_buffer_ends(std::function<void()> f);

  /// The effect of faults on the process: from now on it dies, or the power is cut, where a fault says so.
  void next_death(bool power) noexcept { lost_power_ = power; }

  database database_of(uint32_t db) const { return front_->opened(database_names[db]); }
  const broker& front() const { return *front_; }
  broker& front() { return *front_; }
  caf::actor_system& system() { return system_; }
  std::filesystem::path path_of(uint32_t db) const { return folder_ / database_names[db]; }
  std::filesystem::path file(const std::string& name) const { return folder_ / name; }
  sqlite::fault_vfs& faults() { return *faults_; }
  const clock& time() const { return *time_; }
  uint64_t digest() const;

  /// Called when the disk makes an actor wait, that is, while another thread could run.
  std::function<void()> meanwhile = [] {};

private:
  struct config : caf::actor_system_config {
    config();
  };

  caf::scheduler::test_coordinator& sched();
  caf::resumable* choose();
  std::vector<caf::actor> actors() const;
  void wait(std::chrono::microseconds by);
  bool execute_for(std::chrono::milliseconds by);
  bool is_held_back(caf::resumable* resumable) const;
  void hold_back_readers();
  void forget_held_back(caf::resumable* run);
  std::deque<caf::resumable*> runnable();
  void restart(bool power);
  void drain();

  const settings& set_;
  std::optional<broker_config> configured_;
  dice& luck_;
  trace& trace_;
  std::shared_ptr<test::fake_clock> time_ = std::make_shared<test::fake_clock>();
  run_folder folder_;
  std::unique_ptr<memory_disk> disk_;
  std::unique_ptr<sqlite::fault_vfs> faults_;
  config config_;
  caf::actor_system system_{config_};
  std::shared_ptr<broker_core> core_;
  std::optional<broker> front_;
  bool ready_ = false;
  bool closing_ = false;
  bool closed_ = false;
  bool died_ = false;
  bool lost_power_ = false;
  uint32_t life_ = 0;
  uint32_t depth_ = 0;
  // Whether a statement spends execution time.
  bool executes_ = false;
  // Readers with a slow query, which waited for the end of another one. They run in this order, as on threads of their
  // own, before later queries.
  std::deque<caf::resumable*> held_back_;
  readiness ready_to_run_;
  execution_time execution_time_{[this](auto by) { return execute_for(by); }};
  // With `order::one_waits`: the actor that does not run for so many steps, unless no other is ready.
  std::string waits_;
  uint64_t waits_for_ = 0;
};

} // namespace sluice::simulation
