#include "actors/base/counted.hpp"
#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"
#include "runtime/lab/bench/goals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>

namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

// A broker in this process, with the table of the cases.
struct embedded_store {
  embedded_store(const std::filesystem::path& root, synchronous_mode mode)
    : host(open_broker(root, mode)), db(must(host.open_database(items_file))) {
    must(db.write("bench", create_table));
  }

  // Runs `work` and counts what it commits.
  measurement count_commits(const std::function<measurement()>& work) const {
    auto before = counts_of(db);
    auto result = work();
    result.rows_per_commit = rows_per_commit(before, counts_of(db));
    result.stored_rows = result.completed;
    return result;
  }

  broker host;
  database db;
};

struct raw_store {
  raw_store(const std::filesystem::path& folder, synchronous_mode mode) : db(open_raw(folder / items_file, 0ms)) {
    must(db.exec(mode == synchronous_mode::full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
    insert = must(sqlite::prepared_statement::prepare(db, insert_row));
    begin = must(sqlite::prepared_statement::prepare(db, "BEGIN IMMEDIATE"));
    commit = must(sqlite::prepared_statement::prepare(db, "COMMIT"));
  }

  sqlite::connection db;
  sqlite::prepared_statement insert, begin, commit;
  std::mutex mutex;
};

// Commits as many rows at a time as sluice did in the same round; a fractional number is reached on average.
measurement write_groups(raw_store& store, std::chrono::milliseconds duration, double rows) {
  measurement result;
  result.rows_per_commit = rows;
  auto begin = bench_clock::now();
  double owed = 0;
  do {
    owed += rows;
    auto now = std::max<int64_t>(1, static_cast<int64_t>(owed));
    owed -= static_cast<double>(now);
    must(store.begin.run());
    for (int64_t i = 0; i < now; ++i)
      insert_raw(store.insert, i) ? ++result.operations : ++result.errors;
    must(store.commit.run());
  } while (bench_clock::now() - begin < duration);
  result.seconds = result.elapsed = std::chrono::duration<double>(bench_clock::now() - begin).count();
  result.completed = result.stored_rows = result.operations;
  return result;
}

contender raw_committing_each_row(synchronous_mode mode) {
  return {"raw SQLite, one connection, a COMMIT per row", contender_kind::direct,
          [mode](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<raw_store>(folder, mode);
            return [store](const bench_round& round) {
              auto result =
                run_threads(1, round.duration, [&](size_t, bench_clock::time_point stop_at, measurement& own) {
                  timed_loop(stop_at, own, [&] { return insert_raw(store->insert, 1); });
                });
              result.rows_per_commit = 1;
              result.stored_rows = result.completed;
              return result;
            };
          },
          true};
}

// A write that was sent, and when.
struct sent_write {
  std::future<caf::expected<write_result>> answer;
  bench_clock::time_point begin;
};

void pipelined_loop(const database& db, size_t in_flight, bench_clock::time_point stop_at, measurement& own) {
  std::deque<sent_write> sent;
  auto take_oldest = [&] {
    auto good = sent.front().answer.get().engaged();
    own.note(good, sent.front().begin, bench_clock::now(), stop_at);
    sent.pop_front();
  };
  auto now = bench_clock::now();
  do {
    sent.push_back({db.write_async(insert_request("thread", 1)), now});
    if (sent.size() == in_flight)
      take_oldest();
    now = bench_clock::now();
  } while (now < stop_at);
  while (!sent.empty())
    take_oldest();
}

contender futures_through_broker(size_t threads, size_t in_flight) {
  return {"sluice, threads with futures", contender_kind::sluice,
          [=](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<embedded_store>(folder, synchronous_mode::full);
            return [=](const bench_round& round) {
              return store->count_commits([&] {
                return run_threads(threads, round.duration,
                                   [&](size_t, bench_clock::time_point stop_at, measurement& own) {
                                     pipelined_loop(store->db, in_flight, stop_at, own);
                                   });
              });
            };
          },
          true};
}

std::string agents_text(size_t count) { return counted(count, "agent"); }

} // namespace

const char* to_string(synchronous_mode mode) noexcept { return mode == synchronous_mode::full ? "FULL" : "NORMAL"; }

const char* suffix_of(synchronous_mode mode) noexcept { return mode == synchronous_mode::full ? "full" : "normal"; }

contender actors_through_broker(size_t agents, size_t in_flight, synchronous_mode mode) {
  return {"sluice, actors", contender_kind::sluice,
          [=](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<embedded_store>(folder, mode);
            return [=](const bench_round& round) {
              return write_by_actors(store->host, store->db, agents, in_flight, round.duration);
            };
          },
          true};
}

contender threads_through_broker(size_t threads, synchronous_mode mode) {
  return {"sluice, threads", contender_kind::sluice,
          [threads, mode](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<embedded_store>(folder, mode);
            return [store, threads](const bench_round& round) {
              return store->count_commits([&] {
                return run_threads(
                  threads, round.duration, [&](size_t, bench_clock::time_point stop_at, measurement& own) {
                    timed_loop(stop_at, own, [&] { return store->db.write(insert_request("thread", 1)).engaged(); });
                  });
              });
            };
          },
          true};
}

contender mutex_around_one_connection(size_t threads, synchronous_mode mode) {
  return {"threads, a mutex around one connection", contender_kind::direct,
          [threads, mode](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<raw_store>(folder, mode);
            return [store, threads](const bench_round& round) {
              auto result =
                run_threads(threads, round.duration, [&](size_t, bench_clock::time_point stop_at, measurement& own) {
                  timed_loop(stop_at, own, [&] {
                    std::lock_guard guard{store->mutex};
                    return insert_raw(store->insert, 1);
                  });
                });
              result.rows_per_commit = 1;
              result.stored_rows = result.completed;
              return result;
            };
          },
          true};
}

contender raw_at_the_same_group_size(synchronous_mode mode) {
  return {"raw SQLite, one connection, same rows per commit", contender_kind::bound,
          [mode](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<raw_store>(folder, mode);
            return [store](const bench_round& round) {
              return write_groups(*store, round.duration, std::max(1.0, round.before.front().rows_per_commit));
            };
          },
          true};
}

bench_case agents_writing(size_t agents, synchronous_mode mode) {
  bench_case result;
  result.family = fmt::format("agents-{}", suffix_of(mode));
  result.name = fmt::format("agents-{}-{}", agents, suffix_of(mode));
  result.title =
    fmt::format("{} in one process, one row each in a loop, synchronous={}", agents_text(agents), to_string(mode));
  result.size = agents;
  result.size_label = agents_label;
  result.contenders = {actors_through_broker(agents, 1, mode), threads_through_broker(agents, mode)};
  auto is_full = mode == synchronous_mode::full;
  if (agents == 1) {
    result.contenders.push_back(raw_committing_each_row(mode));
    if (is_full)
      result.goals = {rate_goal("of raw SQLite committing each row", 0, 2, 0.85)};
    return result;
  }
  result.contenders.push_back(mutex_around_one_connection(agents, mode));
  result.contenders.push_back(raw_at_the_same_group_size(mode));
  if (is_full && agents == 64)
    result.goals = {rate_goal("of raw SQLite at the same rows per commit", 0, 3, 0.5), switches_per_commit_goal(0, 6)};
  return result;
}

bench_case agents_in_flight(size_t agents, size_t in_flight) {
  bench_case result;
  result.name = fmt::format("agents-{}x{}-full", agents, in_flight);
  result.title = fmt::format("{} in one process, {} requests of one row in flight each, synchronous=FULL",
                             agents_text(agents), in_flight);
  result.size = agents;
  result.contenders = {
    actors_through_broker(agents, in_flight, synchronous_mode::full), futures_through_broker(agents, in_flight),
    mutex_around_one_connection(agents, synchronous_mode::full), raw_at_the_same_group_size(synchronous_mode::full)};
  if (agents == 64)
    result.goals = {rate_goal("of raw SQLite at the same rows per commit", 0, 3, 0.8)};
  return result;
}

} // namespace sluice::bench
