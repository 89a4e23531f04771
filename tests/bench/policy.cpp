// What a request costs at the gate of the policy.

#include "runtime/os/machine_clock.hpp"
#include "runtime/policy/access_gate.hpp"
#include "runtime/store/live_policy.hpp"

#include <benchmark/benchmark.h>

#include <memory>
#include <string>

namespace {

using namespace sluice;

// Rules of as many agents; a request of the last one passes all others.
std::shared_ptr<const access_policy> policy_of(int64_t agents) {
  policy_rules rules;
  for (int64_t i = 0; i < agents; ++i) {
    agent_rule rule;
    rule.name = "agent-" + std::to_string(i) + "-*";
    rule.tier = tier::basic;
    for (const auto* operation : {"add_note", "move_*", "find_*"})
      rule.scopes.push_back({"app.db", operation});
    rules.agents.push_back(std::move(rule));
  }
  return std::make_shared<const access_policy>(*access_policy::make(std::move(rules)));
}

constexpr access_demand call{method_access::operation, "find_notes", "app.db", tier::basic};

void admit_at_the_gate(benchmark::State& state) {
  machine_clock time;
  access_gate gate{policy_of(state.range(0)), time};
  auto name = "agent-" + std::to_string(state.range(0) - 1) + "-1";
  for (auto _ : state)
    benchmark::DoNotOptimize(gate.admit({name, 1000}, call));
}
BENCHMARK(admit_at_the_gate)->Arg(1)->Arg(10)->Arg(100);

// With the look at the file, every 100 ms.
void admit_by_a_live_policy(benchmark::State& state) {
  machine_clock time;
  auto rules = state.range(0);
  live_policy policy{".", rules > 0 ? policy_of(rules) : std::make_shared<const access_policy>(), time};
  auto name = "agent-" + std::to_string(rules - 1) + "-1";
  for (auto _ : state)
    benchmark::DoNotOptimize(policy.admit({name, 1000}, call));
}
BENCHMARK(admit_by_a_live_policy)->Arg(0)->Arg(10)->Arg(100);

void refuse_at_the_gate(benchmark::State& state) {
  machine_clock time;
  access_gate gate{policy_of(10), time};
  for (auto _ : state)
    benchmark::DoNotOptimize(gate.admit({"stranger", 1000}, call));
}
BENCHMARK(refuse_at_the_gate);

} // namespace
