// Contract tests of cursor_store (actors/cursors/cursor_store.hpp), run on the fake of the actors' tests and on the
// SQLite store.

#include "runtime/sqlite/reader/cursor_store.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"
#include "tests/support/fake_cursor_store.hpp"

namespace sluice::test::cursor_store_contract_test {

namespace {

class fake_cursor {
public:
  // A cursor over the integers from 1 to `rows`.
  std::unique_ptr<cursor_store> open(uint64_t rows) {
    pages_.rows = rows;
    return std::make_unique<fake_cursor_store>(pages_);
  }

private:
  fake_pages pages_;
};

class sqlite_cursor {
public:
  sqlite_cursor() { other_program{file_}.run("CREATE TABLE t(x)"); }

  std::unique_ptr<cursor_store> open(uint64_t rows) {
    statement query{"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS x FROM n LIMIT ?",
                    {static_cast<int64_t>(rows)}};
    return sqlite::make_cursor_store(file_, query, {});
  }

private:
  temp_dir folder_;
  fs::path file_ = folder_ / "app.db";
};

read_limits pages_of(uint64_t rows) { return {rows, 1 << 20, milliseconds{60'000}}; }

using integers = std::vector<int64_t>;

// Reads one page and appends its rows to `to`.
bool next(cursor_store& from, uint64_t max_rows, integers& to) {
  auto page = must(from.next(pages_of(max_rows), {}));
  REQUIRE(page.rows);
  CHECK(page.rows->size() <= max_rows);
  CHECK((!page.rows->empty() || page.is_last));
  for (size_t i = 0; i < page.rows->size(); ++i)
    to.push_back(*page.rows->at(i, 0).integer());
  return !page.is_last;
}

} // namespace

TEMPLATE_TEST_CASE("the pages of a cursor have every row once and in order", "[contract]", fake_cursor, sqlite_cursor) {
  TestType subject;
  auto aut = subject.open(7);
  integers seen;
  while (next(*aut, 3, seen)) {
  }
  CHECK(seen == integers{1, 2, 3, 4, 5, 6, 7});
}

TEMPLATE_TEST_CASE("each page of a cursor keeps to the bounds of its request", "[contract]", fake_cursor,
                   sqlite_cursor) {
  TestType subject;
  auto aut = subject.open(100);
  integers seen;
  CHECK(next(*aut, 1, seen));
  CHECK(seen == integers{1});
  CHECK(next(*aut, 3, seen));
  CHECK(seen == integers{1, 2, 3, 4});
}

TEMPLATE_TEST_CASE("a cursor without rows has one empty page, the last one", "[contract]", fake_cursor, sqlite_cursor) {
  TestType subject;
  auto aut = subject.open(0);
  integers seen;
  CHECK_FALSE(next(*aut, 3, seen));
  CHECK(seen.empty());
}

TEMPLATE_TEST_CASE("after its last page a cursor returns empty ones", "[contract]", fake_cursor, sqlite_cursor) {
  TestType subject;
  auto aut = subject.open(2);
  integers seen;
  while (next(*aut, 5, seen)) {
  }
  CHECK_FALSE(next(*aut, 5, seen));
  CHECK(seen == integers{1, 2});
}

TEMPLATE_TEST_CASE("a cursor that was cancelled has no page", "[contract]", fake_cursor, sqlite_cursor) {
  TestType subject;
  auto aut = subject.open(5);
  integers seen;
  next(*aut, 1, seen);
  auto cancel = cancel_token::make();
  cancel.cancel();
  CHECK(failure_of(aut->next(pages_of(1), cancel)).code == errc::cancelled);
}

} // namespace sluice::test::cursor_store_contract_test
