#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"

#include <algorithm>
#include <mutex>
#include <optional>

namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

// One connection that commits every `rows` rows: nothing is faster and durable.
measurement raw_sqlite(const bench_options& options, double rows) {
  scratch_folder folder{options.folder};
  auto db = open_raw(folder.path() / "raw.db", 0ms);
  auto insert = must(sqlite::prepared_statement::prepare(db, insert_row));
  auto begin_stmt = must(sqlite::prepared_statement::prepare(db, "BEGIN IMMEDIATE"));
  auto commit_stmt = must(sqlite::prepared_statement::prepare(db, "COMMIT"));
  measurement result;
  result.contender = "raw SQLite, one connection";
  result.rows_per_commit = rows;
  auto begin = bench_clock::now();
  double owed = 0;
  while (bench_clock::now() - begin < options.duration) {
    owed += rows;
    auto now = std::max<int64_t>(1, static_cast<int64_t>(owed));
    owed -= static_cast<double>(now);
    must(begin_stmt.run());
    for (int64_t i = 0; i < now; ++i)
      insert_raw(insert, i);
    must(commit_stmt.run());
    result.operations += static_cast<uint64_t>(now);
  }
  result.seconds = std::chrono::duration<double>(bench_clock::now() - begin).count();
  return result;
}

measurement mutex_around_one_connection(const bench_options& options, size_t threads) {
  scratch_folder folder{options.folder};
  auto db = open_raw(folder.path() / "mutex.db", 0ms);
  auto insert = must(sqlite::prepared_statement::prepare(db, insert_row));
  std::mutex mutex;
  auto result = run_threads("mutex around one connection", threads, options.duration,
                            [&](bench_clock::time_point stop_at, measurement& own) {
                              timed_loop(stop_at, own, [&] {
                                std::lock_guard guard{mutex};
                                return insert_raw(insert, 1);
                              });
                            });
  result.rows_per_commit = 1;
  return result;
}

double rows_per_commit(const database& db) {
  auto status = db.status();
  return static_cast<double>(status.committed_requests) / static_cast<double>(std::max<uint64_t>(1, status.commits));
}

audit_actor::behavior_type forget(audit_actor::pointer self, actor_registry* actors) {
  return {
    [](attach_atom, const std::string&) { return attach_report{}; },
    [](const audit_query&) { return audit_page{}; },
    [](verify_atom) { return audit_verdict{}; },
    [actors](caf::flush_atom) { actors->audit_records().take(); },
    [](retry_atom) {},
    [self](caf::close_atom) {
      self->quit();
      return caf::ok_atom_v;
    },
  };
}

// Puts an audit that forgets in the place of the real one, which is back in time for the shutdown.
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

measurement broker_actors(const bench_options& options, size_t agents, bool audited = true) {
  scratch_folder folder{options.folder};
  auto host = open_broker(folder.path());
  std::optional<without_audit> unaudited;
  if (!audited)
    unaudited.emplace(host);
  auto db = must(host.open_database("items.db"));
  must(db.write("bench", create_table));
  auto result =
    run_actors("sluice, " + std::to_string(agents) + " actors", host.system(), agents, options.duration,
               [&](caf::event_based_actor* self, size_t i, std::function<void(bool)> done) {
                 db.write(self, insert_request("agent-" + std::to_string(i), static_cast<int64_t>(i)))
                   .then([done](const write_result&) { done(true); }, [done](const caf::error&) { done(false); });
               });
  result.rows_per_commit = rows_per_commit(db);
  return result;
}

measurement broker_threads(const bench_options& options, size_t threads) {
  scratch_folder folder{options.folder};
  auto host = open_broker(folder.path());
  auto db = must(host.open_database("items.db"));
  must(db.write("bench", create_table));
  auto result = run_threads("sluice, " + std::to_string(threads) + (threads == 1 ? " thread" : " threads"), threads,
                            options.duration, [&](bench_clock::time_point stop_at, measurement& own) {
                              timed_loop(stop_at, own, [&] { return db.write(insert_request("thread", 1)).engaged(); });
                            });
  result.rows_per_commit = rows_per_commit(db);
  return result;
}

} // namespace

case_report many_writers(const bench_options& options) {
  auto actors = broker_actors(options, options.agents);
  auto threads = broker_threads(options, options.agents);
  auto raw = raw_sqlite(options, actors.rows_per_commit);
  auto mutex = mutex_around_one_connection(options, options.agents);
  case_report report;
  report.name = std::to_string(options.agents) + " agents, one row each in a loop, synchronous=FULL";
  report.goals = {
    {"of raw SQLite at the same rows per commit", actors.per_second() / raw.per_second(), 0.8, false},
    {"times a mutex around one connection", actors.per_second() / mutex.per_second(), 20, false},
  };
  report.contenders = {std::move(actors), std::move(threads), std::move(raw), std::move(mutex)};
  return report;
}

case_report cost_of_audit(const bench_options& options) {
  case_report report;
  report.name = std::to_string(options.agents) + " agents, with and without the audit";
  report.contenders = {broker_actors(options, options.agents), broker_actors(options, options.agents, false)};
  report.contenders[0].contender += ", audited";
  report.contenders[1].contender += ", audit switched off";
  return report;
}

case_report lone_writer(const bench_options& options) {
  auto actor = broker_actors(options, 1);
  auto thread = broker_threads(options, 1);
  auto raw = raw_sqlite(options, 1);
  auto mutex = mutex_around_one_connection(options, 1);
  case_report report;
  report.name = "one agent, one row at a time, synchronous=FULL";
  report.goals = {{"of raw SQLite committing each row", actor.per_second() / raw.per_second(), 0.85, false}};
  report.contenders = {std::move(actor), std::move(thread), std::move(raw), std::move(mutex)};
  return report;
}

} // namespace sluice::bench
