#include "runtime/broker/log_sink.hpp"
#include "runtime/broker/write_buffer.hpp"
#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <atomic>

namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

constexpr size_t callers = 8;
constexpr const char* create_progress =
  "CREATE TABLE IF NOT EXISTS progress (task INTEGER PRIMARY KEY, done INTEGER NOT NULL, note TEXT NOT NULL)";
constexpr const char* upsert_progress = "INSERT INTO progress (task, done, note) VALUES (?, ?, ?) "
                                        "ON CONFLICT (task) DO UPDATE SET done = excluded.done, note = excluded.note";

// The number of tasks: a few that are updated repeatedly, or a new one for each operation.
constexpr int64_t few = 500;
constexpr int64_t unbounded = INT64_MAX;

buffer_put put_progress(int64_t task, int64_t done) {
  buffer_put operation;
  operation.row = {items_file, "progress", {{"task", task}}};
  operation.values = {{"done", done}, {"note", row_body}};
  operation.agent = "background";
  operation.wait = 30s;
  return operation;
}

broker open_store(const std::filesystem::path& root, bool journal) {
  broker_config config;
  config.root = root;
  config.buffer_journal = journal;
  auto leader = must(broker::open(config));
  must(must(leader.open_database(items_file)).write("bench", create_progress));
  return leader;
}

// The loop that all contenders share: calls `done` with consecutive numbers, and times each call.
measurement number_tasks(std::chrono::milliseconds duration, size_t threads, std::atomic<int64_t>& next,
                         const std::function<bool(size_t thread, int64_t number)>& done) {
  return run_threads(threads, duration, [&](size_t i, bench_clock::time_point stop_at, measurement& own) {
    timed_loop(stop_at, own, [&] { return done(i, next++); });
  });
}

struct numbered_store {
  numbered_store(const std::filesystem::path& root, bool journal)
    : leader(open_store(root, journal)), db(must(leader.open_database(items_file))) {}

  broker leader;
  database db;
  std::atomic<int64_t> next{0};
};

// Times each put. The total time includes the flush at the end.
measurement put_and_flush(numbered_store& store, int64_t tasks, std::chrono::milliseconds duration) {
  auto buffer = store.leader.buffer();
  auto before = store.leader.status().buffer;
  auto begin = bench_clock::now();
  auto result = number_tasks(duration, callers, store.next,
                             [&](size_t, int64_t i) { return buffer.put(put_progress(i % tasks, i)).engaged(); });
  auto flushed = must(buffer.flush({}));
  result.errors += flushed.kept + flushed.set_aside;
  result.operations = result.completed;
  result.seconds = result.elapsed = std::chrono::duration<double>(bench_clock::now() - begin).count();
  auto after = store.leader.status().buffer;
  result.rows_per_commit = ratio(static_cast<double>(after.flushed_rows - before.flushed_rows),
                                 static_cast<double>(after.flushes - before.flushes));
  return result;
}

contender buffered(std::string name, bool journal, int64_t tasks) {
  return {std::move(name), contender_kind::sluice, [=](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<numbered_store>(folder, journal);
            return [=](const bench_round& round) { return put_and_flush(*store, tasks, round.duration); };
          }};
}

contender one_by_one(std::string name, size_t threads, int64_t tasks) {
  return {std::move(name), contender_kind::sluice, [=](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<numbered_store>(folder, false);
            return [=](const bench_round& round) {
              static const sql_text sql{upsert_progress};
              auto before = counts_of(store->db);
              auto result = number_tasks(round.duration, threads, store->next, [&](size_t, int64_t i) {
                return store->db.write("user", sql, {i % tasks, i, row_body}).engaged();
              });
              result.rows_per_commit = rows_per_commit(before, counts_of(store->db));
              return result;
            };
          }};
}

struct progress_connection {
  explicit progress_connection(const std::filesystem::path& file) : db(open_raw(file, 5s)) {
    must(db.exec(create_progress));
    upsert = must(sqlite::prepared_statement::prepare(db, upsert_progress));
  }

  bool write(int64_t task, int64_t done) {
    upsert.bind(1, task);
    upsert.bind(2, done);
    upsert.bind_text(3, row_body);
    auto stepped = upsert.step();
    upsert.reset();
    return stepped.engaged();
  }

  sqlite::connection db;
  sqlite::prepared_statement upsert;
};

contender own_connections(int64_t tasks) {
  return {"threads, a connection each, busy_timeout 5 s", contender_kind::direct,
          [=](const std::filesystem::path& folder) -> session {
            auto connections = std::make_shared<std::vector<progress_connection>>();
            for (size_t i = 0; i < callers; ++i)
              connections->emplace_back(folder / items_file);
            auto next = std::make_shared<std::atomic<int64_t>>(0);
            return [=](const bench_round& round) {
              auto result = number_tasks(round.duration, callers, *next, [&](size_t thread, int64_t i) {
                return (*connections)[thread].write(i % tasks, i);
              });
              result.rows_per_commit = 1;
              return result;
            };
          }};
}

contender logged() {
  return {"sluice, logging through spdlog", contender_kind::sluice, [](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<numbered_store>(folder, false);
            auto log = std::make_shared<spdlog::logger>("bench", make_log_sink(store->leader));
            return [=](const bench_round& round) {
              return number_tasks(round.duration, callers, store->next, [&](size_t, int64_t i) {
                log->info("a message of ordinary length about task {}", i);
                return true;
              });
            };
          }};
}

} // namespace

bench_case latency_classes() {
  bench_case result;
  result.name = "latency-classes";
  result.title = fmt::format("{} threads update {} rows: the three latency classes, synchronous=FULL", callers, few);
  result.contenders = {one_by_one("sluice, write (waits for its COMMIT)", callers, few),
                       buffered("sluice, buffer.put", false, few),
                       buffered("sluice, buffer.put with a journal", true, few), logged(), own_connections(few)};
  return result;
}

bench_case flushed_rows() {
  bench_case result;
  result.name = "flushed-rows";
  result.title = "new rows until the last of them is on disk, synchronous=FULL";
  result.contenders = {
    buffered("sluice, buffer.put", false, unbounded), buffered("sluice, buffer.put with a journal", true, unbounded),
    one_by_one("sluice, write by 1 thread", 1, unbounded),
    one_by_one(fmt::format("sluice, write by {} threads", callers), callers, unbounded), own_connections(unbounded)};
  return result;
}

} // namespace sluice::bench
