#include "runtime/lab/bench/growth_cases.hpp"
#include "runtime/lab/bench/pinned_log.hpp"
#include "runtime/lab/bench/table_template.hpp"

#include <fmt/format.h>

/// Growth over the size of a write-ahead log that another program pins.
namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

constexpr size_t operations_per_check = 8;

// Repeats `operation` until the time is over, or until the log has twice its size.
measurement run_while_pinned(pinned_log& log, std::chrono::milliseconds duration, const bench_operation& operation) {
  if (!log.has_room())
    log.refill();
  // The first request after a commit of another program takes longer, because the broker examines the log.
  operation();
  auto begin = bench_clock::now();
  auto stop_at = begin + duration;
  measurement result;
  do {
    for (size_t i = 0; i < operations_per_check; ++i)
      timed_loop(bench_clock::now(), result, operation);
  } while (bench_clock::now() < stop_at && log.has_room());
  result.operations = result.completed;
  result.seconds = result.elapsed = std::chrono::duration<double>(bench_clock::now() - begin).count();
  return result;
}

// The operation is closed before the log.
struct pinned_session {
  pinned_log log;
  bench_operation operation;
};

contender beside_pinned_log(const std::shared_ptr<table_template>& table, size_t megabytes, std::string name,
                            contender_kind kind,
                            std::function<bench_operation(const std::filesystem::path& folder)> open) {
  auto open_session = [megabytes, open = std::move(open)](const std::filesystem::path& folder) -> session {
    pinned_log log{folder / items_file, megabytes};
    auto opened = std::make_shared<pinned_session>(pinned_session{std::move(log), open(folder)});
    return
      [opened](const bench_round& round) { return run_while_pinned(opened->log, round.duration, opened->operation); };
  };
  return on_copy_of(table, {std::move(name), kind, std::move(open_session)});
}

struct broker_beside_log {
  explicit broker_beside_log(const std::filesystem::path& root)
    : host(open_broker(root)), db(must(host.open_database(items_file))) {}

  broker host;
  database db;
};

struct connection_beside_log {
  connection_beside_log(const std::filesystem::path& file, const char* sql)
    : db(open_raw(file, 0ms)), statement(must(sqlite::prepared_statement::prepare(db, sql))) {}

  sqlite::connection db;
  sqlite::prepared_statement statement;
};

bench_operation write_beside_log(const std::filesystem::path& folder) {
  return [store = std::make_shared<broker_beside_log>(folder)] {
    return store->db.write(insert_request("bench", 1)).engaged();
  };
}

bench_operation write_directly_beside_log(const std::filesystem::path& folder) {
  return [store = std::make_shared<connection_beside_log>(folder / items_file, insert_row)] {
    return insert_raw(store->statement, 1);
  };
}

bench_case log_case(const char* family, const char* action, size_t megabytes) {
  bench_case result;
  result.family = family;
  result.name = fmt::format("{}-{}", family, megabytes);
  result.title = fmt::format("1 thread {}, another program pins a write-ahead log of {} MB", action, megabytes);
  result.size = megabytes;
  result.size_label = "megabytes of the pinned write-ahead log";
  return result;
}

} // namespace

std::vector<bench_case> growth_over_log(const std::vector<size_t>& megabytes, size_t rows) {
  auto table = std::make_shared<table_template>(rows);
  auto walk = row_walk{0, static_cast<int64_t>(rows)};
  auto read_beside_log = [walk](const std::filesystem::path& folder) -> bench_operation {
    return [store = std::make_shared<broker_beside_log>(folder), walk]() mutable {
      auto request = select_request("bench", walk.next());
      request.freshness = freshness::fresh;
      auto answer = store->db.read(std::move(request));
      return answer && answer->rows->size() == 1;
    };
  };
  auto read_directly = [walk](const std::filesystem::path& folder) -> bench_operation {
    return [store = std::make_shared<connection_beside_log>(folder / items_file, select_row), walk]() mutable {
      return read_raw(store->statement, walk.next());
    };
  };
  std::vector<bench_case> writes, reads;
  for (auto size : megabytes) {
    auto write = log_case("growth-wal-write", "writes one row at a time, synchronous=FULL", size);
    write.contenders = {beside_pinned_log(table, size, "sluice, write", contender_kind::sluice, write_beside_log),
                        beside_pinned_log(table, size, "one connection, a COMMIT per row", contender_kind::direct,
                                          write_directly_beside_log)};
    writes.push_back(std::move(write));
    auto read = log_case("growth-wal-read", "reads rows that are not cached", size);
    read.contenders = {beside_pinned_log(table, size, "sluice, uncached read", contender_kind::sluice, read_beside_log),
                       beside_pinned_log(table, size, "prepared statement", contender_kind::direct, read_directly)};
    reads.push_back(std::move(read));
  }
  std::move(reads.begin(), reads.end(), std::back_inserter(writes));
  return writes;
}

} // namespace sluice::bench
