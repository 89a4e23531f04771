#include "actors/buffer/pending_row.hpp"
#include "actors/buffer/row_queue.hpp"
#include "actors/buffer/row_statement.hpp"
#include "tests/support/plain_database.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace sluice::test::buffer_merging_test {

namespace {

using columns = std::vector<named_value>;

constexpr auto upsert = buffer_operation::upsert;
constexpr auto update = buffer_operation::update;
constexpr auto erase = buffer_operation::erase;

checked_operation free_one(buffer_operation operation, columns values = {}, value key = 1) {
  checked_operation result;
  result.put.row = {"app.db", "t", {{"k", std::move(key)}}};
  result.put.operation = operation;
  result.put.values = std::move(values);
  result.put.agent = "alice";
  result.is_mergeable = true;
  return result;
}

// Two operations on one row after merging, in short form.
std::string merged(checked_operation first, checked_operation second) {
  pending_row row{std::move(first), 1, {}};
  row.merge(std::move(second));
  std::string result;
  for (const auto& each : row.take()) {
    result += (result.empty() ? "" : ", ") + std::string{to_string(each.put.operation)};
    for (const auto& [name, content] : each.put.values)
      result += " " + name + "=" + std::to_string(*content.integer());
  }
  return result;
}

table_schema shape_of(const char* sql, const char* more = "SELECT 1") {
  plain_database db{{sql, more}};
  return db.shape_of("t");
}

bool is_free(const table_schema& shape, buffer_operation operation, columns key, columns values = {}) {
  buffer_put put;
  put.row = {"app.db", "t", std::move(key)};
  put.operation = operation;
  put.values = std::move(values);
  auto checked = check(shape, std::move(put));
  if (!checked)
    throw std::logic_error(describe(checked.error()).message);
  return checked->is_mergeable;
}

} // namespace

TEST_CASE("two operations on a row are merged into an equivalent one", "[buffer]") {
  CHECK(merged(free_one(upsert, {{"a", 1}, {"b", 1}}), free_one(upsert, {{"b", 2}, {"c", 2}})) == "upsert a=1 b=2 c=2");
  CHECK(merged(free_one(upsert, {{"a", 1}}), free_one(update, {{"a", 2}, {"b", 2}})) == "upsert a=2 b=2");
  CHECK(merged(free_one(upsert, {{"a", 1}}), free_one(erase)) == "delete");
  CHECK(merged(free_one(update, {{"a", 1}}), free_one(update, {{"b", 2}})) == "update a=1 b=2");
  CHECK(merged(free_one(update, {{"a", 1}, {"b", 1}}), free_one(upsert, {{"b", 2}})) == "update a=1, upsert b=2");
  CHECK(merged(free_one(update, {{"b", 1}}), free_one(upsert, {{"b", 2}})) == "upsert b=2");
  CHECK(merged(free_one(update, {{"a", 1}}), free_one(erase)) == "delete");
  CHECK(merged(free_one(erase), free_one(upsert, {{"a", 1}})) == "delete, upsert a=1");
  CHECK(merged(free_one(erase), free_one(update, {{"a", 1}})) == "delete");
  CHECK(merged(free_one(erase), free_one(erase)) == "delete");
}

TEST_CASE("every sequence of five operations on a row has the same result when merged", "[buffer]") {
  const std::vector<checked_operation> choices{
    free_one(upsert, {{"a", 1}}), free_one(upsert, {{"b", 2}}), free_one(upsert),
    free_one(update, {{"a", 3}}), free_one(update, {{"b", 4}}), free_one(erase)};
  for (auto there : {false, true})
    for (size_t number = 0; number < 7'776; ++number) {
      row_image one_by_one;
      if (there)
        one_by_one = {true, {{"k", {1}}, {"a", {8}}, {"b", {9}}}};
      auto at_once = one_by_one;
      std::optional<pending_row> row;
      auto rest = number;
      for (auto i = 0; i < 5; ++i, rest /= 6) {
        const auto& next = choices[rest % 6];
        one_by_one.apply(next.put);
        if (row)
          row->merge(next);
        else
          row.emplace(next, 1, clock::steady{});
      }
      row->apply(at_once);
      INFO(number);
      REQUIRE(one_by_one.found == at_once.found);
      REQUIRE(one_by_one.columns.size() == at_once.columns.size());
      for (const auto& [name, cell] : one_by_one.columns)
        REQUIRE(at_once.columns.at(name).content == cell.content);
    }
}

TEST_CASE("a merged row keeps the agents, their numbers of operations and the positions in the journal", "[buffer]") {
  auto first = free_one(upsert);
  first.seq = 4;
  auto second = free_one(erase);
  second.seq = 9;
  second.put.agent = "bob";
  pending_row row{first, 1, {}};
  row.merge(second);
  auto out = row.take();
  REQUIRE(out.size() == 1);
  CHECK(out[0].journal == std::vector<uint64_t>{4, 9});
  REQUIRE(out[0].from.size() == 2);
  CHECK(out[0].from[1].agent == "bob");
}

TEST_CASE("nothing is merged past an operation that is not mergeable, nor into an operation under way", "[buffer]") {
  row_queue rows;
  auto fixed = free_one(upsert, {}, 2);
  fixed.is_mergeable = false;
  CHECK_FALSE(rows.add(free_one(upsert), 1, {}, {}));
  CHECK(rows.add(free_one(erase), 2, {}, {}));
  CHECK_FALSE(rows.add(fixed, 3, {}, {}));
  CHECK_FALSE(rows.add(fixed, 4, {}, {}));
  CHECK_FALSE(rows.add(free_one(upsert), 5, {}, {}));
  CHECK(rows.add(free_one(upsert), 6, {}, {}));
  CHECK(rows.size() == 4);
  auto taken = rows.take({{}, true});
  CHECK(taken.size() == 4);
  CHECK(rows.size() == 0);
  CHECK(rows.footprint() == 0);
  CHECK_FALSE(rows.would_merge(free_one(upsert)));
  // They are pending until they are written.
  CHECK(rows.pending() == 4);
  for (const auto& operation : taken)
    rows.complete(operation);
  CHECK(rows.pending() == 0);
}

TEST_CASE("nothing is merged past an operation that names its row by another key", "[buffer]") {
  row_queue rows;
  auto other = free_one(update, {{"a", 2}});
  other.put.row.columns[0].name = "e";
  rows.add(free_one(update, {{"a", 1}}), 1, {}, {});
  CHECK_FALSE(rows.add(other, 2, {}, {}));
  CHECK_FALSE(rows.add(free_one(update, {{"a", 3}}), 3, {}, {}));
}

TEST_CASE("rows of connected tables keep their order, and are not merged", "[buffer]") {
  row_queue rows;
  auto child = free_one(upsert);
  child.keeps_order = true;
  auto parent = child;
  parent.put.row.table = "p";
  buffered_table_rules important{"app.db", "p", std::chrono::milliseconds{5'000}, 9};
  CHECK_FALSE(rows.add(child, 1, {}, {}));
  CHECK_FALSE(rows.add(parent, 2, {}, important));
  CHECK_FALSE(rows.add(child, 3, {}, {}));
  std::string order;
  for (const auto& operation : rows.take({{}, true}))
    order += operation.put.row.table;
  CHECK(order == "tpt");
}

TEST_CASE("rows of other tables are taken by priority, and those that have waited twice their time first", "[buffer]") {
  constexpr clock::steady start{std::chrono::hours{1}};
  row_queue rows;
  auto other = free_one(upsert);
  other.put.row.table = "p";
  rows.add(free_one(upsert), 1, start, {"app.db", "t", std::chrono::milliseconds{1'000}, 0});
  rows.add(other, 2, start, {"app.db", "p", std::chrono::milliseconds{1'000}, 9});
  CHECK(rows.next_due() == start + std::chrono::seconds{1});
  CHECK(rows.take({start}).empty());
  auto first_table = [&](std::chrono::milliseconds later) {
    auto copy = rows;
    return copy.take({start + later}).at(0).put.row.table;
  };
  CHECK(first_table(std::chrono::milliseconds{1'000}) == "p");
  CHECK(first_table(std::chrono::milliseconds{2'000}) == "t");
}

TEST_CASE("keys are compared as typed values", "[buffer]") {
  row_queue rows;
  rows.add(free_one(upsert, {}, 1), 1, {}, {});
  CHECK_FALSE(rows.would_merge(free_one(upsert, {}, "1")));
  CHECK_FALSE(rows.would_merge(free_one(upsert, {}, blob{"1"})));
  CHECK(rows.would_merge(free_one(upsert, {}, 1)));
}

TEST_CASE("merging does not make a row larger than the bound of one operation", "[buffer]") {
  row_queue rows;
  rows.add(free_one(upsert, {{"a", std::string(900'000, 'x')}}), 1, {}, {});
  CHECK_FALSE(rows.would_merge(free_one(upsert, {{"b", std::string(900'000, 'x')}})));
  CHECK(rows.would_merge(free_one(upsert, {{"b", 1}})));
}

TEST_CASE("an operation is one statement, with names quoted and values bound", "[buffer]") {
  buffer_put put;
  put.row = {"app.db", "we \"ird", {{"a b", 1}, {"k", "z"}}};
  put.values = {{"v", 2}};
  CHECK(statement_of(put).sql.str()
        == R"(INSERT INTO "we ""ird" ("a b", "k", "v") VALUES (?, ?, ?) ON CONFLICT ("a b", "k") DO )"
           R"(UPDATE SET "v" = excluded."v")");
  CHECK(statement_of(put).params == parameters{1, "z", 2});
  put.values.clear();
  CHECK(statement_of(put).sql.str().ends_with("DO NOTHING"));
  put.operation = erase;
  CHECK(statement_of(put).sql.str() == R"(DELETE FROM "we ""ird" WHERE "a b" = ? AND "k" = ?)");
  put.operation = update;
  put.values = {{"v", 2}};
  CHECK(statement_of(put).sql.str() == R"(UPDATE "we ""ird" SET "v" = ? WHERE "a b" = ? AND "k" = ?)");
  CHECK(statement_of(put).params == parameters{2, 1, "z"});
}

TEST_CASE("the schema of a table decides which operations are mergeable", "[buffer]") {
  auto plain = shape_of("CREATE TABLE t(k INT PRIMARY KEY, a NOT NULL DEFAULT 1, b UNIQUE)");
  CHECK(is_free(plain, upsert, {{"k", 1}}, {{"a", 1}}));
  CHECK_FALSE(is_free(plain, upsert, {{"k", 1}}, {{"a", {}}}));
  CHECK_FALSE(is_free(plain, upsert, {{"k", 1}}, {{"b", 1}}));
  CHECK_FALSE(is_free(plain, update, {{"k", 1}}, {{"b", 1}}));
  CHECK_FALSE(is_free(plain, erase, {{"k", "1"}}));
  CHECK_FALSE(is_free(plain, erase, {{"k", 1.0}}));
  auto required = shape_of("CREATE TABLE t(k INT PRIMARY KEY, a NOT NULL, b)");
  CHECK_FALSE(is_free(required, upsert, {{"k", 1}}, {{"b", 1}}));
  CHECK(is_free(required, update, {{"k", 1}}, {{"b", 1}}));
  auto numbered = shape_of("CREATE TABLE t(id INTEGER PRIMARY KEY, k INT UNIQUE, a)");
  CHECK_FALSE(is_free(numbered, upsert, {{"k", 1}}, {{"a", 1}}));
  CHECK(is_free(numbered, update, {{"k", 1}}, {{"a", 1}}));
  CHECK(is_free(shape_of("CREATE TABLE t(k INT PRIMARY KEY, at DEFAULT CURRENT_TIMESTAMP)"), upsert, {{"k", 1}}));
  CHECK_FALSE(is_free(shape_of("CREATE TABLE t(k INT PRIMARY KEY, at DEFAULT (random()))"), upsert, {{"k", 1}}));
  CHECK_FALSE(is_free(shape_of("CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY)"), erase, {{"k", "a"}}));
  CHECK(is_free(shape_of("CREATE TABLE t(k TEXT PRIMARY KEY)"), erase, {{"k", "a"}}));
}

TEST_CASE("tables that triggers and foreign keys connect are recognized", "[buffer]") {
  CHECK_FALSE(shape_of("CREATE TABLE t(k PRIMARY KEY, \"check\" DEFAULT 'check')", "CREATE TABLE x(k)").keeps_order());
  CHECK(shape_of("CREATE TABLE t(k PRIMARY KEY, \"check\" DEFAULT 'check')").plain());
  CHECK_FALSE(shape_of("CREATE TABLE t(k PRIMARY KEY, a CHECK (a > 1))").plain());
  CHECK(shape_of("CREATE TABLE t(k PRIMARY KEY)", "CREATE TABLE c(p REFERENCES T(k))").keeps_order());
  auto deferred =
    shape_of("CREATE TABLE t(k PRIMARY KEY)", "CREATE TABLE c(p REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
  CHECK(deferred.needs_own_batch());
  plain_database other{{"CREATE TABLE t(k PRIMARY KEY)", "CREATE TABLE o(k)", "CREATE TABLE far(k)",
                        "CREATE TRIGGER w AFTER INSERT ON o BEGIN DELETE FROM \"T\"; END"}};
  CHECK(other.shape_of("t").keeps_order());
  CHECK_FALSE(other.shape_of("far").keeps_order());
}

} // namespace sluice::test::buffer_merging_test
