#include "tests/simulation/plan.hpp"

#include "runtime/sqlite/faults/fault_rules.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace sluice::simulation {

namespace {

constexpr int64_t registers = 6;
constexpr int64_t buffered_rows = 5;

// Generates the requests of clients. Every number is written only once, so that a read shows which write it came from.
class author {
public:
  author(dice& luck, const settings& set) : luck_(luck), set_(set) {}

  operation next() {
    operation result;
    result.db = static_cast<uint32_t>(luck_.pick(set_.databases));
    result.waits = luck_.chance(60);
    auto roll = luck_.pick(100);
    if (roll < 45)
      write(result);
    else if (roll < 85)
      read(result);
    else if (roll < 94)
      put(result);
    else if (roll < 96)
      get(result);
    else
      result.type = roll < 98 ? operation::kind::flush : operation::kind::log;
    return result;
  }

private:
  void write(operation& op) {
    op.type = operation::kind::write;
    if (luck_.chance(3))
      op.deadline = std::chrono::milliseconds{1 + luck_.pick(50)};
    auto roll = luck_.pick(100);
    if (roll < 12) {
      auto sum = static_cast<int64_t>(luck_.pick(60));
      op.steps = {{verb::give, account(), -sum}, {verb::give, account(), sum}};
    } else if (roll < 17) {
      op.steps = {{verb::drop_view, 0, 0}, {verb::make_view, static_cast<int64_t>(luck_.pick(2)), 0}};
    } else {
      auto several = luck_.chance(20) ? 2 + luck_.pick(3) : 1;
      for (uint64_t i = 0; i < several; ++i)
        op.steps.push_back(one_step());
    }
    if (luck_.chance(6))
      op.steps.push_back(bad_step());
    if (luck_.chance(50))
      give_key(op);
  }

  // Most keys are new; some come again, with the same payload or with another.
  void give_key(operation& op) {
    op.retries = luck_.pick(4);
    if (keyed_.empty() || !luck_.chance(20)) {
      op.key = keyed_.size() + 1;
      keyed_.push_back(op);
      return;
    }
    const auto& former = keyed_[luck_.pick(keyed_.size())];
    op.key = former.key;
    op.db = former.db;
    if (luck_.chance(70))
      op.steps = former.steps;
  }

  step one_step() {
    auto k = static_cast<int64_t>(luck_.pick(registers));
    auto roll = luck_.pick(100);
    if (roll < 40)
      return {verb::put, k, ++numbers_ * 100};
    if (roll < 55)
      return {verb::add, k, 1};
    if (roll < 67)
      return {verb::erase, k, 0};
    if (roll < 80)
      return {verb::insert, k, ++numbers_ * 100};
    return {verb::adopt, k, ++numbers_};
  }

  step bad_step() {
    auto roll = luck_.pick(3);
    return {roll == 0 ? verb::insert_twice : roll == 1 ? verb::veto : verb::nonsense, ++numbers_, 0};
  }

  void read(operation& op) {
    op.type = operation::kind::read;
    op.asked = static_cast<question>(luck_.chance(40) ? 0 : luck_.pick(questions));
    op.argument = op.asked == question::one ? static_cast<int64_t>(luck_.pick(registers)) : 0;
    if (luck_.chance(15))
      op.freshness = freshness::fresh;
    op.since_own = luck_.chance(20);
  }

  void put(operation& op) {
    op.type = operation::kind::put;
    op.argument = static_cast<int64_t>(luck_.pick(buffered_rows));
    op.erases = luck_.chance(20);
    if (op.erases)
      return;
    op.a = ++numbers_;
    if (luck_.chance(40))
      op.b = luck_.chance(6) ? -1 : ++numbers_;
  }

  void get(operation& op) {
    op.type = operation::kind::get;
    op.argument = static_cast<int64_t>(luck_.pick(buffered_rows));
  }

  int64_t account() { return static_cast<int64_t>(luck_.pick(accounts)); }

  dice& luck_;
  const settings& set_;
  int64_t numbers_ = 0;
  std::vector<operation> keyed_;
};

settings make_settings(dice& luck) {
  settings result;
  result.normal = luck.chance(20);
  result.journal = luck.chance(40);
  result.cache = !luck.chance(5);
  result.by = static_cast<order>(luck.pick(4));
  result.databases = luck.chance(30) ? 2 : 1;
  result.readers = 1 + luck.pick(3);
  result.group = luck.chance(25) ? 1 + luck.pick(4) : 4'096;
  result.checkpoint_bytes = luck.chance(40) ? 20'000 : 4ULL << 20U;
  result.queue = luck.chance(10) ? 12 : 10'000;
  result.buffer_pending = luck.chance(20) ? 6 : 1'000;
  return result;
}

std::vector<incident::kind> kinds(const mischief& allowed) {
  using kind = incident::kind;
  std::vector<kind> result{kind::passing_time};
  auto add = [&](bool wanted, std::initializer_list<kind> more) {
    if (wanted)
      result.insert(result.end(), more);
  };
  add(allowed.actors, {kind::kill_writer, kind::kill_writer, kind::kill_reader, kind::kill_cache, kind::kill_audit,
                       kind::kill_buffer, kind::kill_log});
  add(allowed.processes, {kind::kill_process, kind::reopen});
  add(allowed.disk,
      {kind::cut_power, kind::disk_error, kind::disk_error, kind::disk_full, kind::slow_disk, kind::slow_disk,
       kind::dies_at_disk, kind::loses_power_at_disk, kind::loses_power_at_disk, kind::heal});
  add(allowed.foreigners, {kind::foreign_lock, kind::foreign_commit, kind::foreign_commit});
  return result;
}

incident make_incident(dice& luck, const std::vector<incident::kind>& from, const settings& set, uint64_t operations) {
  incident result;
  result.after = luck.pick(operations + 1);
  result.steps = luck.pick(40);
  result.type = from[luck.pick(from.size())];
  result.db = static_cast<uint32_t>(luck.pick(set.databases));
  result.file = static_cast<uint32_t>(luck.pick(8));
  result.disk = static_cast<uint32_t>(luck.pick(8));
  result.skip = luck.pick(12);
  result.times = luck.chance(60) ? 1 : 1 + luck.pick(5);
  constexpr std::array<uint64_t, 6> times{1, 20, 150, 1'200, 6'000, 70'000};
  result.time = std::chrono::milliseconds{times[luck.pick(times.size())]};
  return result;
}

// An incident at one of the next syncs of a database's WAL.
incident at_a_sync(incident::kind type, const plan& plan, dice& luck) {
  incident result;
  result.after = luck.pick(plan.operations() + 1);
  result.steps = luck.pick(20);
  result.type = type;
  result.db = static_cast<uint32_t>(luck.pick(plan.set.databases));
  result.file = 0;
  result.disk = static_cast<uint32_t>(sqlite::disk_operation::sync);
  result.skip = luck.pick(3);
  return result;
}

// A WAL that cannot be synced, and a crash soon after. No connection sees the frames of that COMMIT before the WAL is
// recovered, unless another write comes in between. Random incidents hardly ever combine like this.
void add_failing_syncs(plan& plan) {
  // Uses dice of its own, so that the plans of other seeds do not change.
  dice luck{plan.seed * 0xd6e8feb86659fd93ULL + 3};
  if (!luck.chance(8))
    return;
  auto fails = at_a_sync(incident::kind::disk_error, plan, luck);
  fails.times = 1 + luck.pick(4);
  auto crash = fails;
  if (luck.chance(50)) {
    // The file cannot be opened again either, to read the outcome back.
    auto locked_out = fails;
    locked_out.file = 1;
    locked_out.disk = static_cast<uint32_t>(sqlite::disk_operation::open);
    locked_out.skip = 0;
    locked_out.times = 1 + luck.pick(2);
    plan.incidents.push_back(locked_out);
    fails.steps = 0;
  }
  crash.type = luck.chance(50) ? incident::kind::kill_process : incident::kind::cut_power;
  crash.steps = luck.pick(80);
  plan.incidents.push_back(fails);
  plan.incidents.push_back(crash);
}

// The process dies in a COMMIT, and soon after the next process has found the COMMIT in the WAL the power is cut.
void add_death_in_commit(plan& plan) {
  dice luck{plan.seed * 0xa0761d6478bd642fULL + 5};
  if (!luck.chance(8))
    return;
  auto dies = at_a_sync(incident::kind::dies_at_disk, plan, luck);
  auto power = dies;
  power.type = incident::kind::cut_power;
  power.steps += 10 + luck.pick(120);
  plan.incidents.push_back(dies);
  plan.incidents.push_back(power);
}

// A process that dies just before, or just after, the operation.
void add_death_at(const incident& one, plan& plan, dice& luck) {
  auto dies = one;
  dies.type = incident::kind::kill_process;
  dies.steps = luck.pick(one.steps + 4);
  plan.incidents.push_back(dies);
}

// Everyday events of files, clocks and clients.
void add_everyday_events(plan& plan) {
  dice luck{plan.seed * 0xe7037ed1a0b428dbULL + 7};
  if (!luck.chance(30))
    return;
  using kind = incident::kind;
  constexpr std::array kinds{kind::remove_log,    kind::remove_log, kind::clock_jump, kind::client_leaves,
                             kind::client_leaves, kind::copy_store, kind::take_backup};
  for (auto count = 1 + luck.pick(4); count > 0; --count) {
    auto one = at_a_sync(kinds[luck.pick(kinds.size())], plan, luck);
    one.steps = luck.pick(60);
    one.file = static_cast<uint32_t>(luck.pick(3));
    one.time = std::chrono::hours{1 + luck.pick(72)};
    plan.incidents.push_back(one);
    if (one.type != kind::take_backup)
      continue;
    one.type = kind::restore_backup;
    one.after += luck.pick(plan.operations() + 1 - std::min(plan.operations(), one.after));
    one.steps += luck.pick(60);
    if (luck.chance(40))
      add_death_at(one, plan, luck);
    plan.incidents.push_back(one);
  }
}

// Removes old commit records, but not in seeds that replace files: removed records are known from the audit alone,
// which has the commits of both files.
void add_retention(plan& plan) {
  dice luck{plan.seed * 0x8ebc6af09c88c6e3ULL + 11};
  using kind = incident::kind;
  auto replaces = [](const incident& each) {
    return each.type == kind::copy_store || each.type == kind::take_backup || each.type == kind::restore_backup
           || each.type == kind::overwrite_with_backup;
  };
  if (!luck.chance(15) || std::any_of(plan.incidents.begin(), plan.incidents.end(), replaces))
    return;
  // The age of records from before a reboot of the machine is known by the wall clock alone.
  std::erase_if(plan.incidents, [](const incident& each) { return each.type == kind::clock_jump; });
  plan.set.ledger_bytes = 1 + luck.pick(3'000);
  for (auto count = 1 + luck.pick(3); count > 0; --count) {
    auto one = at_a_sync(luck.chance(30) ? kind::reopen : kind::passing_time, plan, luck);
    one.time = std::chrono::seconds{61};
    plan.incidents.push_back(one);
  }
}

} // namespace

uint64_t plan::operations() const {
  uint64_t count = 0;
  for (const auto& client : clients)
    count += client.size();
  return count;
}

plan make_plan(uint64_t seed, mischief allowed) {
  dice luck{seed * 0x9e3779b97f4a7c15ULL + 1};
  plan result;
  result.seed = seed;
  result.set = make_settings(luck);
  author writes{luck, result.set};
  auto count = 1 + luck.pick(6);
  auto most = luck.chance(10) ? 60 : 25;
  for (uint64_t i = 0; i < count; ++i) {
    auto& program = result.clients.emplace_back();
    for (auto left = 3 + luck.pick(static_cast<uint64_t>(most)); left > 0; --left)
      program.push_back(writes.next());
  }
  auto from = kinds(allowed);
  // One seed in four has no incidents, only a random order of actors.
  auto incidents = luck.chance(25) ? 0 : luck.pick(7);
  for (uint64_t i = 0; i < incidents; ++i)
    result.incidents.push_back(make_incident(luck, from, result.set, result.operations()));
  if (allowed.disk && allowed.processes) {
    add_failing_syncs(result);
    add_death_in_commit(result);
  }
  if (allowed.everyday)
    add_everyday_events(result);
  if (allowed.processes)
    add_retention(result);
  add_crowd(result, allowed);
  std::stable_sort(result.incidents.begin(), result.incidents.end(),
                   [](const incident& a, const incident& b) { return a.after < b.after; });
  return result;
}

bool is_harmless(incident::kind type) noexcept {
  using kind = incident::kind;
  constexpr std::array harmless{kind::passing_time, kind::reopen,      kind::clock_jump,    kind::client_leaves,
                                kind::copy_store,   kind::take_backup, kind::cancel_request};
  return std::find(harmless.begin(), harmless.end(), type) != harmless.end();
}

} // namespace sluice::simulation
