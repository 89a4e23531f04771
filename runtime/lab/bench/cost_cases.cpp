#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"
#include "runtime/lab/bench/goals.hpp"
#include "runtime/lab/bench/process_contenders.hpp"
#include "runtime/server/metrics.hpp"

#include <chrono>

namespace sluice::bench {

namespace {

constexpr size_t audited_agents = 64;

audit_actor::behavior_type forget(audit_actor::pointer self, actor_registry* actors) {
  return {
    [](attach_atom, const std::string&) { return attach_report{}; },
    [](agree_atom, const std::string&, uint64_t until) { return until; },
    [](const audit_query&) { return audit_page{}; },
    [](verify_atom) { return audit_verdict{}; },
    [](const audit_prune&) { return audit_pruned{}; },
    [actors](caf::flush_atom) { actors->audit_records().take(); },
    [](retry_atom) {},
    [self](caf::close_atom) {
      self->quit();
      return caf::ok_atom_v;
    },
  };
}

// Replaces the audit actor by one that drops its records; the destructor restores the real one, before the shutdown.
class without_audit {
public:
  explicit without_audit(broker& host) : actors_(host.actors()), real_(actors_.audit()) {
    actors_.set(host.system().spawn(forget, &actors_));
  }
  without_audit(const without_audit&) = delete;
  without_audit& operator=(const without_audit&) = delete;
  ~without_audit() {
    caf::anon_send(actors_.audit(), caf::close_atom_v);
    actors_.set(real_);
  }

private:
  actor_registry& actors_;
  audit_actor real_;
};

struct unaudited_store {
  explicit unaudited_store(const std::filesystem::path& root) : host(open_broker(root)), unaudited(host) {
    must(host.open_database(items_file));
    must(must(host.open_database(items_file)).write("bench", create_table));
  }

  broker host;
  without_audit unaudited;
};

session open_unaudited(const std::filesystem::path& folder) {
  auto store = std::make_shared<unaudited_store>(folder);
  return [store](const bench_round& round) {
    auto db = must(store->host.open_database(items_file));
    return write_by_actors(store->host, db, audited_agents, 1, round.duration);
  };
}

measurement count_answers(std::chrono::milliseconds duration) {
  metrics counted;
  measurement result;
  auto begin = bench_clock::now();
  auto stop_at = begin + duration;
  while (bench_clock::now() < stop_at)
    for (int i = 0; i < 1'000; ++i, ++result.operations)
      counted.observe("read", "ok", std::chrono::microseconds{i});
  result.completed = result.operations;
  result.seconds = result.elapsed = std::chrono::duration<double>(bench_clock::now() - begin).count();
  return result;
}

} // namespace

bench_case cost_of_audit() {
  bench_case result;
  result.name = "audit-cost";
  result.title = "64 agents in one process, one row each in a loop, with and without the audit, synchronous=FULL";
  result.contenders = {actors_through_broker(audited_agents, 1, synchronous_mode::full),
                       {"sluice, audit switched off", contender_kind::bound, open_unaudited}};
  result.goals = {rate_goal("of the rate without the audit", 0, 1, 0.85)};
  return result;
}

bench_case cost_of_metrics() {
  bench_case result;
  result.name = "metrics-cost";
  result.title =
    "1 process reads a cached row through the socket; counting an answer in the metrics takes a part of that";
  result.contenders = {through_socket("sluice, cached read", server_kind::broker_full, work::broker_read_cached, 1),
                       {"counting alone", contender_kind::bound, [](const std::filesystem::path&) -> session {
                          return [](const bench_round& round) { return count_answers(round.duration); };
                        }}};
  result.goals = {time_goal("of the time of an answer is spent counting it", 1, 0, 0.01)};
  return result;
}

} // namespace sluice::bench
