#include "runtime/lab/bench/growth_cases.hpp"
#include "runtime/lab/bench/table_template.hpp"

#include "actors/base/counted.hpp"

#include <fmt/format.h>

/// Growth over the answers in the cache.
namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

constexpr const char* create_others = "CREATE TABLE IF NOT EXISTS others (id INTEGER PRIMARY KEY, agent INTEGER NOT "
                                      "NULL, body TEXT NOT NULL)";
constexpr const char* insert_other = "INSERT INTO others (agent, body) VALUES (?, ?)";
constexpr const char* create_counter = "CREATE TABLE IF NOT EXISTS counter (value INTEGER NOT NULL)";
constexpr const char* increment = "UPDATE counter SET value = value + 1";

read_request counter_request() {
  static const sql_text sql{"SELECT value FROM counter"};
  read_request result;
  result.db = items_file;
  result.agent = "bench";
  result.query = {sql, {}};
  return result;
}

// A broker whose cache has one answer for each of the first rows of `items`.
struct broker_with_answers {
  broker_with_answers(const std::filesystem::path& root, size_t count)
    : host(open(root)), db(must(host.open_database(items_file))) {
    must(db.write("bench", create_others));
    must(db.write("bench", create_counter));
    must(db.write("bench", "INSERT INTO counter VALUES (0)"));
    // Twice, because answers are not kept while the idle writer empties its log.
    for (size_t i = 0; i < 2 * count; ++i)
      must(db.read(select_request("bench", static_cast<int64_t>(i % count) + 1)));
    if (auto kept = host.status().cache.entries; kept < count)
      throw std::runtime_error{fmt::format("the cache keeps {} of {} answers", kept, count)};
  }

  static broker open(const std::filesystem::path& root) {
    broker_config config;
    config.root = root;
    config.synchronous = synchronous_mode::normal;
    // Answers must not age while the contenders take turns.
    config.cache_ttl = std::chrono::hours{1};
    return must(broker::open(config));
  }

  bool write(const sql_text& sql, parameters params) const {
    return db.write("bench", sql, std::move(params)).engaged();
  }

  broker host;
  database db;
};

struct connection_to_answers {
  connection_to_answers(const std::filesystem::path& file, const char* sql) : db(open_raw(file, 0ms)) {
    must(db.exec("PRAGMA synchronous = NORMAL"));
    must(db.exec(create_others));
    statement = must(sqlite::prepared_statement::prepare(db, sql));
  }

  sqlite::connection db;
  sqlite::prepared_statement statement;
};

bench_operation read_cached(const std::filesystem::path& folder, size_t count) {
  auto rows = static_cast<int64_t>(count);
  return [store = std::make_shared<broker_with_answers>(folder, count), request = select_request("bench", 1),
          walk = row_walk{0, rows}]() mutable {
    request.query.params.positional[0] = walk.next();
    auto answer = store->db.read(request);
    return answer && answer->source == read_source::cache;
  };
}

bench_operation read_prepared(const std::filesystem::path& folder, size_t count) {
  return
    [store = std::make_shared<connection_to_answers>(folder / items_file, select_row),
     walk = row_walk{0, static_cast<int64_t>(count)}]() mutable { return read_raw(store->statement, walk.next()); };
}

bench_operation write_beside(const std::filesystem::path& folder, size_t count) {
  return [store = std::make_shared<broker_with_answers>(folder, count), sql = sql_text{insert_other}] {
    return store->write(sql, {int64_t{1}, row_body});
  };
}

// Reads the answer after each write, so that the next write invalidates a cached answer again.
bench_operation write_and_invalidate(const std::filesystem::path& folder, size_t count) {
  return [store = std::make_shared<broker_with_answers>(folder, count - 1), sql = sql_text{increment}] {
    return store->write(sql, {}) && store->db.read(counter_request()).engaged();
  };
}

bench_operation write_directly_beside(const std::filesystem::path& folder) {
  return [store = std::make_shared<connection_to_answers>(folder / items_file, insert_other)] {
    return insert_raw(store->statement, 1);
  };
}

contender over(const std::shared_ptr<table_template>& table, size_t count, std::string name, contender_kind kind,
               bench_operation (*open)(const std::filesystem::path&, size_t)) {
  return on_copy_of(table, one_thread(std::move(name), kind, [open, count](const std::filesystem::path& folder) {
                      return open(folder, count);
                    }));
}

bench_case answers_case(const char* family, const char* action, size_t count) {
  bench_case result;
  result.family = family;
  result.name = fmt::format("{}-{}", family, count);
  result.title = fmt::format("1 thread {}, {} in the cache", action, counted(count, "answer"));
  result.size = count;
  result.size_label = "answers in the cache";
  return result;
}

} // namespace

std::vector<bench_case> growth_over_answers(const std::vector<size_t>& sizes) {
  std::vector<bench_case> reads, writes;
  if (sizes.empty())
    return reads;
  auto table = std::make_shared<table_template>(sizes.back());
  for (auto count : sizes) {
    auto read = answers_case("growth-cache-read", "reads cached rows", count);
    read.contenders = {over(table, count, "sluice, cached read", contender_kind::sluice, read_cached),
                       over(table, count, "prepared statement", contender_kind::direct, read_prepared)};
    reads.push_back(std::move(read));
    auto write = answers_case("growth-cache-write", "writes one row at a time, synchronous=NORMAL", count);
    write.contenders = {
      over(table, count, "sluice, write that invalidates no answer", contender_kind::sluice, write_beside),
      over(table, count, "sluice, write that invalidates one answer, and its read", contender_kind::sluice,
           write_and_invalidate),
      on_copy_of(table, one_thread("one connection, a COMMIT per row", contender_kind::direct, write_directly_beside))};
    writes.push_back(std::move(write));
  }
  std::move(writes.begin(), writes.end(), std::back_inserter(reads));
  return reads;
}

} // namespace sluice::bench
