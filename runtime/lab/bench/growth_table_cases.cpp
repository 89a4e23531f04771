#include "runtime/lab/bench/growth_cases.hpp"
#include "runtime/lab/bench/table_template.hpp"

#include "actors/base/counted.hpp"

#include <fmt/format.h>

/// Growth over rows and over databases.
namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

struct broker_on_items {
  explicit broker_on_items(const std::filesystem::path& root)
    : host(open_broker(root)), db(must(host.open_database(items_file))) {
    must(db.write(insert_request("bench", 0)));
  }

  broker host;
  database db;
};

struct raw_items {
  raw_items(const std::filesystem::path& file, const char* synchronous, const char* sql) : db(open_raw(file, 0ms)) {
    must(db.exec(synchronous));
    statement = must(sqlite::prepared_statement::prepare(db, sql));
  }

  sqlite::connection db;
  sqlite::prepared_statement statement;
};

constexpr const char* synchronous_full = "PRAGMA synchronous = FULL";
constexpr const char* synchronous_normal = "PRAGMA synchronous = NORMAL";

bench_operation write_through_broker(const std::filesystem::path& folder) {
  return [store = std::make_shared<broker_on_items>(folder)] {
    return store->db.write(insert_request("bench", 1)).engaged();
  };
}

bench_operation write_directly(const std::filesystem::path& folder) {
  return [store = std::make_shared<raw_items>(folder / items_file, synchronous_full, insert_row)] {
    return insert_raw(store->statement, 1);
  };
}

bench_case rows_case(const char* family, const char* action, size_t rows) {
  bench_case result;
  result.family = family;
  result.name = fmt::format("{}-{}", family, rows);
  result.title = fmt::format("1 thread {}, a table of {} rows", action, rows);
  result.size = rows;
  result.size_label = "rows of the table";
  return result;
}

bench_case rows_written(const std::shared_ptr<table_template>& table) {
  auto result = rows_case("growth-rows-write", "writes one row at a time, synchronous=FULL", table->rows());
  result.contenders = {
    on_copy_of(table, one_thread("sluice, write", contender_kind::sluice, write_through_broker)),
    on_copy_of(table, one_thread("one connection, a COMMIT per row", contender_kind::direct, write_directly))};
  return result;
}

bench_case rows_read(const std::shared_ptr<table_template>& table) {
  auto rows = static_cast<int64_t>(table->rows());
  auto through_broker = [rows](const std::filesystem::path& folder) -> bench_operation {
    return [store = std::make_shared<broker_on_items>(folder), walk = row_walk{0, rows}]() mutable {
      auto request = select_request("bench", walk.next());
      request.freshness = freshness::fresh;
      auto answer = store->db.read(std::move(request));
      return answer && answer->rows->size() == 1;
    };
  };
  auto directly = [rows](const std::filesystem::path& folder) -> bench_operation {
    return [store = std::make_shared<raw_items>(folder / items_file, synchronous_full, select_row),
            walk = row_walk{0, rows}]() mutable { return read_raw(store->statement, walk.next()); };
  };
  auto result = rows_case("growth-rows-read", "reads rows that are not cached", table->rows());
  result.contenders = {on_copy_of(table, one_thread("sluice, uncached read", contender_kind::sluice, through_broker)),
                       on_copy_of(table, one_thread("prepared statement", contender_kind::direct, directly))};
  return result;
}

std::string numbered_file(size_t number) { return fmt::format("items-{}.db", number); }

struct many_databases {
  many_databases(const std::filesystem::path& root, size_t count) : host(open_broker(root, synchronous_mode::normal)) {
    for (size_t i = 0; i < count; ++i) {
      all.push_back(must(host.open_database(numbered_file(i))));
      must(all.back().write("bench", create_table));
    }
  }

  broker host;
  std::vector<database> all;
};

bench_operation write_all_through_broker(const std::filesystem::path& folder, size_t count) {
  raise_descriptor_limit();
  return [store = std::make_shared<many_databases>(folder, count), next = size_t{0}]() mutable {
    auto request = insert_request("bench", 1);
    request.db.clear();
    return store->all[next++ % store->all.size()].write(std::move(request)).engaged();
  };
}

bench_operation write_all_directly(const std::filesystem::path& folder, size_t count) {
  raise_descriptor_limit();
  auto all = std::make_shared<std::vector<raw_items>>();
  for (size_t i = 0; i < count; ++i)
    all->emplace_back(folder / numbered_file(i), synchronous_normal, insert_row);
  return [all, next = size_t{0}]() mutable { return insert_raw((*all)[next++ % all->size()].statement, 1); };
}

} // namespace

std::vector<bench_case> growth_over_rows(const std::vector<size_t>& sizes) {
  std::vector<bench_case> writes, reads;
  for (auto rows : sizes) {
    auto table = std::make_shared<table_template>(rows);
    writes.push_back(rows_written(table));
    reads.push_back(rows_read(table));
  }
  std::move(reads.begin(), reads.end(), std::back_inserter(writes));
  return writes;
}

std::vector<bench_case> growth_over_databases(const std::vector<size_t>& sizes) {
  std::vector<bench_case> result;
  for (auto count : sizes) {
    bench_case one_case;
    one_case.family = "growth-databases";
    one_case.name = fmt::format("growth-databases-{}", count);
    one_case.title =
      fmt::format("1 thread writes one row at a time to {} in turn, synchronous=NORMAL", counted(count, "database"));
    one_case.size = count;
    one_case.size_label = "databases in one store";
    one_case.contenders = {
      one_thread("sluice, write", contender_kind::sluice,
                 [count](const std::filesystem::path& folder) { return write_all_through_broker(folder, count); }),
      one_thread("a connection per database, a COMMIT per row", contender_kind::direct,
                 [count](const std::filesystem::path& folder) { return write_all_directly(folder, count); })};
    result.push_back(std::move(one_case));
  }
  return result;
}

} // namespace sluice::bench
