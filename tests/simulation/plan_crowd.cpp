#include "tests/simulation/execution_time.hpp"
#include "tests/simulation/plan.hpp"

namespace sluice::simulation {

namespace {

operation slow_one(uint64_t client, uint32_t db, bool writes, std::chrono::milliseconds work) {
  lane client_lane{client, db, writes};
  operation result;
  result.type = writes ? operation::kind::write : operation::kind::read;
  result.db = db;
  result.work = work;
  if (writes)
    result.steps = {{verb::work, client_lane.number(), work.count()}};
  result.asked = question::slow_sum;
  result.argument = client_lane.number();
  result.freshness = freshness::fresh;
  return result;
}

// One client sends slow requests, many at a time and of all lengths up to a bound, with deadlines long enough to delay
// all others.
std::vector<operation> flood(uint64_t client, const plan& plan, dice& luck) {
  std::vector<operation> result;
  auto count = 6 + luck.pick(20);
  auto writes = luck.pick(3);
  auto most = 10 + luck.pick(30);
  for (uint64_t i = 0; i < count; ++i) {
    auto is_write = writes == 2 ? luck.chance(50) : writes == 1;
    auto db = static_cast<uint32_t>(luck.pick(plan.set.databases));
    result.push_back(slow_one(client, db, is_write, execution_time::step * (1 + luck.pick(most))));
    result.back().waits = false;
  }
  // A request that only its deadline, a cancel or the end of the broker ends.
  if (luck.chance(30)) {
    auto endless = slow_one(client, 0, luck.chance(60), std::chrono::milliseconds{40'000});
    endless.waits = false;
    if (luck.chance(60))
      endless.deadline = std::chrono::milliseconds{50 + luck.pick(4'000)};
    auto place = static_cast<std::ptrdiff_t>(luck.pick(count));
    result.insert(result.begin() + place, endless);
  }
  return result;
}

// The others send one request after the other; some want an answer soon, some take a little time themselves.
void take_time(std::vector<operation>& program, uint64_t client, dice& luck) {
  for (auto& each : program) {
    auto is_write = each.type == operation::kind::write;
    if (!is_write && each.type != operation::kind::read)
      continue;
    each.waits = each.waits || luck.chance(80);
    if (luck.chance(10) && each.key == 0)
      each = slow_one(client, each.db, is_write, execution_time::step * (1 + luck.pick(12)));
    if (luck.chance(30))
      each.deadline = std::chrono::milliseconds{20 + luck.pick(2'000)};
  }
}

// The client sends its reads under many agent names, about as many under each.
void make_up_names(std::vector<operation>& flood, uint64_t seed) {
  dice luck{seed * 0x9fb21c651e98df25ULL + 13};
  auto names = 2 + luck.pick(30);
  for (auto& each : flood)
    if (each.type == operation::kind::read)
      each.alias = 1 + luck.pick(names);
}

} // namespace

void add_crowd(plan& plan, const mischief& allowed) {
  // Applies to every tenth seed, so that the plans of other seeds do not change.
  if (plan.seed % 10 != 6)
    return;
  dice luck{plan.seed * 0x8ebc6af09c88c6e3ULL + 11};
  plan.set.timed = true;
  for (uint64_t i = 0; i < plan.clients.size(); ++i)
    take_time(plan.clients[i], i, luck);
  plan.clients.push_back(flood(plan.clients.size(), plan, luck));
  if (plan.seed / 10 % 2 == 1)
    make_up_names(plan.clients.back(), plan.seed);
  using kind = incident::kind;
  for (auto count = allowed.everyday ? luck.pick(6) : 0; count > 0; --count) {
    incident one;
    one.after = luck.pick(plan.operations() + 1);
    one.steps = luck.pick(60);
    one.type = luck.chance(60) ? kind::cancel_request : kind::client_leaves;
    plan.incidents.push_back(one);
  }
  if (allowed.processes && luck.chance(30)) {
    incident one;
    one.type = kind::reopen;
    one.after = luck.pick(plan.operations() + 1);
    one.steps = luck.pick(40);
    plan.incidents.push_back(one);
  }
}

} // namespace sluice::simulation
