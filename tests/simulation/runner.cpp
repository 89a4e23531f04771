#include "tests/simulation/runner.hpp"

#include "tests/simulation/disk_trouble.hpp"
#include "tests/simulation/file_events.hpp"
#include "tests/simulation/judge.hpp"

#include <algorithm>

namespace sluice::simulation {

namespace {

using namespace std::chrono_literals;

// Longer than the sum of all deadlines, time-outs and pauses of the broker.
constexpr auto time_limit = 180s;

class runner {
public:
  runner(const plan& script, bool keep_trace)
    : plan_(script), trace_(keep_trace), luck_(script.seed * 0xbf58476d1ce4e5b9ULL + 2),
      world_(script.set, luck_, trace_), clients_(script, world_, luck_, trace_) {
    for (uint32_t i = 0; i < script.set.databases; ++i)
      external_processes_.push_back(std::make_unique<external_process>(world_.path_of(i)));
    world_.meanwhile = [this] {
      if (may_begin() && luck_.chance(50))
        clients_.begin_one();
    };
  }

  ~runner() {
    // Messengers of unanswered requests end without a receiver.
    clients_.process_died({});
    free_locks();
    world_.end();
  }

  verdict run() {
    verdict result;
    try {
      result.broken = live();
    } catch (beyond_repair) {
      trace_.note(world_.time(), "machine", "a database is lost");
    } catch (const std::exception& error) {
      result.broken = violation{"the simulation goes on", error.what()};
    }
    result.trace_hash = trace_.hash();
    result.digest = digest_;
    result.operations = clients_.begun();
    result.steps = steps_;
    result.crashes = crashes_;
    if (result.broken)
      trace_.note(world_.time(), "checker", result.broken->invariant + ": " + result.broken->details);
    result.lines = trace_.lines();
    return result;
  }

private:
  std::optional<violation> live();
  bool turn(bool everything);
  bool may_begin() const { return world_.ready() && !world_.closing() && tables_ == plan_.set.databases; }
  void free_locks() {
    for (auto& process : external_processes_)
      process->release();
  }
  void create_tables();
  void happen(const incident& event);
  void break_disk(const incident& incident, sqlite::disk_effect effect);
  void commit_foreign(uint32_t db);
  bool quarantined(uint32_t db) const;
  std::optional<violation> until_closed();
  std::optional<violation> open_again();
  void come_to_an_end();
  void survive();
  void calm_down();
  std::optional<violation> until(const std::function<bool()>& done, const char* awaited);
  std::optional<violation> come_to_rest();
  std::optional<violation> at_rest();

  const plan& plan_;
  trace trace_;
  dice luck_;
  world world_;
  clients clients_;
  std::vector<std::unique_ptr<external_process>> external_processes_;
  std::vector<clock::steady> foreign_until_ = std::vector<clock::steady>(2);
  std::vector<bool> foreign_commits_ = std::vector<bool>(2);
  size_t next_incident_ = 0;
  uint64_t due_at_ = 0;
  uint64_t steps_ = 0;
  uint64_t crashes_ = 0;
  const uint64_t steps_at_most_ = 20'000 + plan_.operations() * 500;
  clock::steady room_at_ = clock::steady::max();
  uint32_t tables_ = 0;
  uint64_t digest_ = 0;
  bool calm_ = false;
  file_events files_{plan_, world_, clients_, external_processes_, luck_, trace_};
  // A violation that was found while the broker ran.
  std::optional<violation> broken_;
};

bool runner::turn(bool everything) {
  ++steps_;
  if (world_.died()) {
    survive();
    return true;
  }
  if (world_.closed()) {
    auto& seen = clients_.seen;
    // A broker that ends while its disk or lock is not available drops the rows that wait for it.
    if (seen.troubled)
      seen.buffer_losses.push_back(++seen.event);
    clients_.audit_may_lose(seen.disk_troubled);
    world_.leave([this] { free_locks(); });
    files_.broker_closed(steps_);
    files_.repair(steps_);
    world_.boot();
    return true;
  }
  if (files_.wants_repair(steps_) && world_.ready() && !world_.closing())
    world_.close();
  for (uint32_t i = 0; i < external_processes_.size(); ++i)
    if (external_processes_[i]->locks() && world_.time().now() >= foreign_until_[i])
      foreign_commits_[i] ? commit_foreign(i) : external_processes_[i]->release();
  if (world_.time().now() >= room_at_) {
    room_at_ = clock::steady::max();
    world_.faults().set_room(std::nullopt);
  }
  create_tables();
  auto& incidents = plan_.incidents;
  if (everything && next_incident_ < incidents.size()) {
    const auto& next = incidents[next_incident_];
    if (next.after <= clients_.begun() || clients_.done()) {
      if (due_at_ == 0)
        due_at_ = steps_ + next.steps;
      if (steps_ >= due_at_ && world_.ready() && !world_.closing()) {
        ++next_incident_;
        due_at_ = 0;
        happen(next);
        return true;
      }
    }
  }
  if (world_.is_late() && world_.step())
    return true;
  if (luck_.chance(3)) {
    world_.advance(std::chrono::milliseconds{1 + luck_.pick(20)});
    return true;
  }
  if (may_begin() && luck_.chance(25) && clients_.begin_one())
    return true;
  if (world_.step() || (may_begin() && clients_.begin_one()))
    return true;
  constexpr std::array<uint64_t, 5> pauses{1, 5, 25, 120, 1'000};
  std::chrono::milliseconds pause{pauses[luck_.pick(pauses.size())]};
  plan_.set.timed ? world_.pass(pause) : world_.advance(pause);
  return false;
}

void runner::create_tables() {
  if (!world_.ready() || world_.closing() || tables_ == plan_.set.databases || clients_.open() > 0)
    return;
  if (clients_.created(tables_) && ++tables_ == plan_.set.databases)
    return;
  if (clients_.creating())
    // The last attempt has failed.
    world_.advance(100ms);
  clients_.create(tables_);
}

void runner::commit_foreign(uint32_t db) {
  auto done = external_processes_[db]->commit();
  trace_.note(world_.time(), "external_process", done ? "has committed" : "could not commit");
  auto& seen = clients_.seen.databases[db];
  done ? ++seen.foreign : ++seen.foreign_failures;
}

void runner::happen(const incident& event) {
  using kind = incident::kind;
  trace_.note(world_.time(), "plan", to_string(event));
  auto& seen = clients_.seen;
  seen.troubled |= !is_harmless(event.type);
  switch (event.type) {
  case kind::kill_process:
  case kind::cut_power: world_.next_death(event.type == kind::cut_power); return survive();
  case kind::reopen: return world_.close();
  case kind::disk_error: return break_disk(event, sqlite::disk_effect::io_error);
  case kind::disk_full:
    seen.disk_troubled = seen.audit_troubled = true;
    room_at_ = world_.time().now() + event.time;
    return world_.faults().set_room(event.skip * 4'096);
  case kind::slow_disk: return break_disk(event, sqlite::disk_effect::delay);
  case kind::dies_at_disk:
  case kind::loses_power_at_disk:
    world_.next_death(event.type == kind::loses_power_at_disk);
    return break_disk(event, luck_.chance(50) ? sqlite::disk_effect::kill_before : sqlite::disk_effect::kill_after);
  case kind::heal: return world_.faults().heal();
  case kind::foreign_lock:
  case kind::foreign_commit:
    // A program that opens a file whose WAL was removed or left behind, before the broker has handled that, does damage
    // that no broker can prevent.
    if (!seen.databases[event.db].in_danger() && external_processes_[event.db]->lock()) {
      trace_.note(world_.time(), "external_process", "holds the lock");
      seen.locked = true;
      foreign_commits_[event.db] = event.type == kind::foreign_commit;
      foreign_until_[event.db] = world_.time().now() + (luck_.chance(50) ? 0ms : event.time);
    }
    return;
  case kind::passing_time: return plan_.set.timed ? world_.pass(event.time) : world_.advance(event.time);
  case kind::remove_log: return files_.remove_log(event);
  case kind::clock_jump: return world_.set_wall(event.skip % 2 == 0 ? event.time : -event.time);
  case kind::client_leaves: return static_cast<void>(clients_.leave_one());
  case kind::cancel_request: return static_cast<void>(clients_.cancel_one());
  case kind::copy_store: broken_ = files_.copy_store(); return;
  case kind::take_backup: return files_.take_backup(event.db);
  case kind::restore_backup:
  case kind::overwrite_with_backup:
    return files_.restore_backup(event.db, event.type == kind::overwrite_with_backup, steps_);
  default:
    if (event.type == kind::kill_buffer)
      world_.when_buffer_ends([&seen] { seen.buffer_losses.push_back(++seen.event); });
    seen.audit_troubled |= event.type != kind::kill_log && event.type != kind::kill_reader;
    clients_.audit_may_lose(event.type == kind::kill_audit);
    return world_.kill(event.type, event.db);
  }
}

void runner::break_disk(const incident& event, sqlite::disk_effect effect) {
  auto& seen = clients_.seen;
  if (effect != sqlite::disk_effect::delay)
    seen.disk_troubled = seen.audit_troubled = true;
  world_.faults().inject(fault_of(event, effect, luck_));
}

// Starts a new process on the content of the disk, after the old one has died.
void runner::survive() {
  ++crashes_;
  auto& seen = clients_.seen;
  seen.audit_troubled = true;
  clients_.audit_may_lose(true);
  auto power = world_.lost_power();
  world_.cut();
  free_locks();
  world_.die(power);
  if (power)
    seen.power_losses.push_back(seen.event + 1);
  // A new machine starts with a disk without faults.
  world_.faults().heal();
  auto newest = files_.newest_commits(power && plan_.set.normal);
  files_.process_died(steps_);
  clients_.process_died(newest);
  for (tables_ = 0; tables_ < plan_.set.databases && clients_.created(tables_);)
    ++tables_;
  world_.boot();
}

std::optional<violation> runner::until(const std::function<bool()>& done, const char* awaited) {
  auto since = world_.time().now();
  auto progress = clients_.seen.event;
  while (!done()) {
    turn(!calm_);
    if (broken_ || clients_.seen.unserved)
      return broken_ ? broken_ : clients_.seen.unserved;
    if (std::exchange(progress, clients_.seen.event) != clients_.seen.event)
      since = world_.time().now();
    if (world_.time().now() - since > time_limit || steps_ > steps_at_most_)
      return violation{"every request is answered", std::string{awaited} + "; " + std::to_string(clients_.open())
                                                      + " requests are open: " + clients_.open_requests()};
  }
  return {};
}

std::optional<violation> runner::live() {
  world_.boot();
  auto worked_off = [this] {
    return clients_.done() && next_incident_ == plan_.incidents.size() && tables_ == plan_.set.databases;
  };
  // While faults last, requests may fail, but each must be answered.
  if (auto wrong = until(worked_off, "the programs do not end"))
    return wrong;
  if (auto wrong = come_to_rest())
    return wrong;
  if (clients_.seen.disk_troubled)
    // Records that the audit could not write are completed from the ledgers at the next opening.
    if (auto wrong = open_again())
      return wrong;
  if (auto wrong = at_rest())
    return wrong;
  digest_ = world_.digest();
  return judge(plan_.set, clients_.seen, world_);
}

// Ends all faults and incidents.
void runner::calm_down() {
  calm_ = true;
  world_.faults().heal();
  free_locks();
}

std::optional<violation> runner::come_to_rest() {
  calm_down();
  if (auto wrong = until([this] { return !world_.died() && may_begin(); }, "the broker does not come back"))
    return wrong;
  // The last incidents may still be in a mailbox.
  come_to_an_end();
  if (auto wrong = until([this] { return !files_.wants_repair(UINT64_MAX); }, "the store cannot be repaired"))
    return wrong;
  if (auto wrong = until([this] { return !world_.died() && may_begin(); }, "the broker does not come back"))
    return wrong;
  for (auto tries = 0; tries < 20; ++tries) {
    clients_.flush();
    if (auto wrong = until([this] { return clients_.done(); }, "a flush does not end"))
      return wrong;
    if (clients_.seen.flushes.back().fate == fate::done && clients_.seen.flushes.back().report.kept == 0)
      break;
    world_.advance(6s);
  }
  const auto& last = clients_.seen.flushes.back();
  if (last.fate != fate::done || last.report.kept > 0)
    return violation{"a flush writes everything", last.error.message + last.report.reason};
  for (auto again = 0; again < 2; ++again)
    for (uint32_t db = 0; db < plan_.set.databases; ++db)
      for (uint32_t i = 0; i < questions; ++i)
        for (auto mode : {freshness::cached, freshness::fresh}) {
          clients_.ask(db, static_cast<question>(i), static_cast<int64_t>(i) % 6, mode);
          if (auto wrong = until([this] { return clients_.done(); }, "a read at rest does not end"))
            return wrong;
          const auto& read = clients_.seen.reads.back();
          if (read.fate == fate::refused && read.error.code != errc::sql_error && !quarantined(db))
            return violation{"at rest every client is served", read.request_id + ": "
                                                                 + std::string{to_string(read.error.code)} + ", "
                                                                 + read.error.message};
        }
  return {};
}

bool runner::quarantined(uint32_t db) const { return world_.database_of(db).status().quarantined; }

std::optional<violation> runner::open_again() {
  world_.close();
  if (auto wrong = until_closed())
    return wrong;
  world_.boot();
  if (auto wrong = until([this] { return may_begin(); }, "the broker does not come back"))
    return wrong;
  // The operations of a journal are being written.
  come_to_an_end();
  return {};
}

void runner::come_to_an_end() {
  for (auto pauses = 0; pauses < 40; ++pauses) {
    while (!world_.died() && world_.step())
      ++steps_;
    world_.advance(50ms);
  }
}

std::optional<violation> runner::at_rest() {
  for (uint32_t db = 0; db < plan_.set.databases; ++db) {
    auto status = world_.database_of(db).status();
    if (status.queued > 0 || status.queued_bytes > 0)
      return violation{"queues are empty at rest", database_names[db] + ": " + std::to_string(status.queued)
                                                     + " requests of " + std::to_string(status.queued_bytes)
                                                     + " bytes"};
  }
  auto status = world_.front().status();
  if (status.buffer.pending > 0)
    return violation{"queues are empty at rest", std::to_string(status.buffer.pending) + " buffered rows"};
  world_.close();
  return until_closed();
}

std::optional<violation> runner::until_closed() {
  auto since = world_.time().now();
  while (!world_.closed()) {
    if (!world_.step())
      world_.advance(20ms);
    if (world_.time().now() - since > time_limit)
      return violation{"the broker closes when it is asked to", "it does not"};
  }
  world_.leave();
  return {};
}

} // namespace

verdict run(const plan& plan, bool keep_trace) { return runner{plan, keep_trace}.run(); }

} // namespace sluice::simulation
