#include "tests/simulation/execution_time.hpp"
#include "tests/simulation/plan.hpp"

namespace sluice::simulation {

namespace {

operation slow_one(uint64_t client, uint32_t db, bool writes, std::chrono::milliseconds work) {
  lane own{client, db, writes};
  operation x;
  x.what = writes ? operation::kind::write : operation::kind::read;
  x.db = db;
  x.work = work;
  if (writes)
    x.steps = {{verb::work, own.number(), work.count()}};
  x.asked = question::slow_sum;
  x.argument = own.number();
  x.freshness = freshness::fresh;
  return x;
}

// One client sends slow requests, many at a time and of all lengths up to a most, and gives them enough time to delay
// all others.
std::vector<operation> flood(uint64_t client, const plan& x, dice& luck) {
  std::vector<operation> result;
  auto count = 6 + luck.pick(20);
  auto writes = luck.pick(3);
  auto most = 10 + luck.pick(30);
  for (uint64_t i = 0; i < count; ++i) {
    auto is_write = writes == 2 ? luck.chance(50) : writes == 1;
    auto db = static_cast<uint32_t>(luck.pick(x.set.databases));
    result.push_back(slow_one(client, db, is_write, execution_time::step * (1 + luck.pick(most))));
    result.back().waits = false;
  }
  // One that only its deadline, a cancel or the end of the broker ends.
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
  for (auto& x : program) {
    auto is_write = x.what == operation::kind::write;
    if (!is_write && x.what != operation::kind::read)
      continue;
    x.waits = x.waits || luck.chance(80);
    if (luck.chance(10) && x.key == 0)
      x = slow_one(client, x.db, is_write, execution_time::step * (1 + luck.pick(12)));
    if (luck.chance(30))
      x.deadline = std::chrono::milliseconds{20 + luck.pick(2'000)};
  }
}

// It sends its reads under many names, of which none has more of them than others have.
void make_up_names(std::vector<operation>& flood, uint64_t seed) {
  dice luck{seed * 0x9fb21c651e98df25ULL + 13};
  auto names = 2 + luck.pick(30);
  for (auto& x : flood)
    if (x.what == operation::kind::read)
      x.alias = 1 + luck.pick(names);
}

} // namespace

void add_crowd(plan& x, const mischief& allowed) {
  // Every tenth seed; others remain what they are.
  if (x.seed % 10 != 6)
    return;
  dice luck{x.seed * 0x8ebc6af09c88c6e3ULL + 11};
  x.set.timed = true;
  for (uint64_t i = 0; i < x.clients.size(); ++i)
    take_time(x.clients[i], i, luck);
  x.clients.push_back(flood(x.clients.size(), x, luck));
  if (x.seed / 10 % 2 == 1)
    make_up_names(x.clients.back(), x.seed);
  using kind = incident::kind;
  for (auto count = allowed.everyday ? luck.pick(6) : 0; count > 0; --count) {
    incident one;
    one.after = luck.pick(x.operations() + 1);
    one.steps = luck.pick(60);
    one.what = luck.chance(60) ? kind::cancel_request : kind::client_leaves;
    x.incidents.push_back(one);
  }
  if (allowed.processes && luck.chance(30)) {
    incident one;
    one.what = kind::reopen;
    one.after = luck.pick(x.operations() + 1);
    one.steps = luck.pick(40);
    x.incidents.push_back(one);
  }
}

} // namespace sluice::simulation
