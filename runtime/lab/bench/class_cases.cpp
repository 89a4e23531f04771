#include "runtime/broker/log_sink.hpp"
#include "runtime/broker/write_buffer.hpp"
#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <mutex>

namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

constexpr size_t callers = 8;
constexpr const char* create_progress =
  "CREATE TABLE IF NOT EXISTS progress (task INTEGER PRIMARY KEY, done INTEGER NOT NULL, note TEXT NOT NULL)";
constexpr const char* upsert_progress = "INSERT INTO progress (task, done, note) VALUES (?, ?, ?) "
                                        "ON CONFLICT (task) DO UPDATE SET done = excluded.done, note = excluded.note";

// Few tasks, each updated again and again, or a new one each time.
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

// Each put is timed; the flush at the end is in the time of the whole.
measurement buffered(std::string contender, const bench_options& options, bool journal, int64_t tasks) {
  scratch_folder folder{options.folder};
  auto leader = open_store(folder.path(), journal);
  auto buffer = leader.buffer();
  std::atomic<int64_t> next{0};
  auto begin = bench_clock::now();
  auto result = run_threads(std::move(contender), callers, options.duration,
                            [&](bench_clock::time_point stop_at, measurement& own) {
                              timed_loop(stop_at, own, [&] {
                                auto i = next++;
                                return buffer.put(put_progress(i % tasks, i)).engaged();
                              });
                            });
  auto flushed = must(buffer.flush({}));
  result.errors += flushed.kept + flushed.set_aside;
  result.seconds = std::chrono::duration<double>(bench_clock::now() - begin).count();
  auto status = leader.status().buffer;
  result.rows_per_commit =
    static_cast<double>(status.flushed_rows) / static_cast<double>(std::max<uint64_t>(1, status.flushes));
  return result;
}

measurement one_by_one(std::string contender, const bench_options& options, size_t threads, int64_t tasks) {
  scratch_folder folder{options.folder};
  auto leader = open_store(folder.path(), false);
  auto db = must(leader.open_database(items_file));
  static const sql_text sql{upsert_progress};
  std::atomic<int64_t> next{0};
  auto result = run_threads(std::move(contender), threads, options.duration,
                            [&](bench_clock::time_point stop_at, measurement& own) {
                              timed_loop(stop_at, own, [&] {
                                auto i = next++;
                                return db.write("user", sql, {i % tasks, i, row_body}).engaged();
                              });
                            });
  auto status = db.status();
  result.rows_per_commit =
    static_cast<double>(status.committed_requests) / static_cast<double>(std::max<uint64_t>(1, status.commits));
  return result;
}

measurement direct(const bench_options& options, int64_t tasks) {
  scratch_folder folder{options.folder};
  auto file = folder.path() / items_file;
  must(open_raw(file, 5s).exec(create_progress));
  std::atomic<int64_t> next{0};
  auto result = run_threads("direct SQLite, a connection each, 5 s of patience", callers, options.duration,
                            [&](bench_clock::time_point stop_at, measurement& own) {
                              auto db = open_raw(file, 5s);
                              auto upsert = must(sqlite::prepared_statement::prepare(db, upsert_progress));
                              timed_loop(stop_at, own, [&] {
                                auto i = next++;
                                upsert.bind(1, i % tasks);
                                upsert.bind(2, i);
                                upsert.bind_text(3, row_body);
                                auto done = upsert.step();
                                upsert.reset();
                                return done.engaged();
                              });
                            });
  result.rows_per_commit = 1;
  return result;
}

measurement logged(const bench_options& options) {
  scratch_folder folder{options.folder};
  auto leader = open_store(folder.path(), false);
  spdlog::logger log{"bench", make_log_sink(leader)};
  return run_threads("logging: spdlog into the log database", callers, options.duration,
                     [&](bench_clock::time_point stop_at, measurement& own) {
                       timed_loop(stop_at, own, [&] {
                         log.info("a message of ordinary length about task {}", own.operations);
                         return true;
                       });
                     });
}

} // namespace

case_report latency_classes(const bench_options& options) {
  case_report report;
  report.name = "the three latency classes, " + std::to_string(callers) + " threads, synchronous=FULL";
  report.contenders = {
    direct(options, few),
    one_by_one("user action: write, waits for its COMMIT", options, callers, few),
    buffered("background: buffer put, without a journal", options, false, few),
    buffered("background: buffer put, with a journal", options, true, few),
    logged(options),
  };
  return report;
}

case_report flushed_rows(const bench_options& options) {
  case_report report;
  report.name = "rows that are all different, until they are on disk, synchronous=FULL";
  report.contenders = {
    one_by_one("one by one, 1 thread", options, 1, unbounded),
    one_by_one("one by one, " + std::to_string(callers) + " threads", options, callers, unbounded),
    buffered("through the buffer", options, false, unbounded),
    buffered("through the buffer, with a journal", options, true, unbounded),
  };
  return report;
}

} // namespace sluice::bench
