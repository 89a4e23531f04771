#include "runtime/sqlite/reader/cursor_store.hpp"

#include "tests/runtime/sqlite/files/file_fixture.hpp"
#include "tests/support/fake_clock.hpp"

namespace sluice::test::cursor_store_test {

namespace {

struct cursor_fixture : store_fixture {
  std::shared_ptr<answer_budget> answers = make_answer_budget(config);
  cancel_token cancel = cancel_token::make();

  cursor_fixture() {
    write("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)");
    write(fill);
  }

  std::unique_ptr<cursor_store> open(const char* sql, parameters params = {}) {
    return sqlite::make_cursor_store(file, {sql, std::move(params)}, config, machine_time(), {}, files, answers);
  }

  static read_limits pages_of(uint64_t rows, uint64_t bytes = 1 << 20) { return {rows, bytes, milliseconds{60'000}}; }

  // The first column of all rows that are left.
  std::vector<int64_t> drain(cursor_store& from, read_limits limits = pages_of(100)) const {
    std::vector<int64_t> result;
    for (auto is_last = false; !is_last;) {
      auto page = must(from.next(limits, cancel));
      for (size_t i = 0; i < page.rows->size(); ++i)
        result.push_back(*page.rows->at(i, 0).integer());
      is_last = page.is_last;
    }
    return result;
  }
};

} // namespace

TEST_CASE("a cursor answers every row once and in order") {
  cursor_fixture fixture;
  auto cursor = fixture.open("SELECT id FROM t WHERE id > ?1 ORDER BY id", {500});
  auto seen = fixture.drain(*cursor);
  REQUIRE(seen.size() == 1'500);
  for (size_t i = 0; i < seen.size(); ++i)
    REQUIRE(seen[i] == static_cast<int64_t>(501 + i));
  CHECK(must(cursor->next(fixture.pages_of(10), fixture.cancel)).is_last);
}

TEST_CASE("pages keep to their bounds, and a larger row is a page by itself") {
  cursor_fixture fixture;
  auto cursor =
    fixture.open("SELECT 'a' UNION ALL SELECT hex(zeroblob(100000)) UNION ALL SELECT 'b' UNION ALL SELECT 'c'");
  auto limits = fixture.pages_of(10, 1'000);
  CHECK(must(cursor->next(limits, fixture.cancel)).rows->size() == 1);
  auto large = must(cursor->next(limits, fixture.cancel));
  REQUIRE(large.rows->size() == 1);
  CHECK(large.rows->at(0, 0).text()->size() == 200'000);
  auto last = must(cursor->next(limits, fixture.cancel));
  CHECK(last.rows->size() == 2);
  CHECK(last.is_last);
}

TEST_CASE("a row beyond the bound of an answer is too large") {
  cursor_fixture fixture;
  fixture.config.max_answer_bytes = 1 << 16;
  auto cursor = fixture.open("SELECT hex(zeroblob(100000))");
  auto error = failure_of(cursor->next(fixture.pages_of(10), fixture.cancel));
  CHECK(error.code == errc::too_large);
  CHECK_THAT(error.message, Catch::Contains("max_answer_bytes"));
}

TEST_CASE("all pages are of one snapshot, and the schema may change beside them") {
  cursor_fixture fixture;
  auto cursor = fixture.open("SELECT id FROM t ORDER BY id");
  auto first = must(cursor->next(fixture.pages_of(10), fixture.cancel));
  fixture.write("DELETE FROM t WHERE id > 100");
  fixture.write("ALTER TABLE t ADD COLUMN more");
  CHECK(fixture.drain(*cursor).size() == 1'990);
  auto later = fixture.open("SELECT id FROM t ORDER BY id");
  CHECK(fixture.drain(*later).size() == 100);
}

TEST_CASE("a page for which there is no memory can be asked for again") {
  cursor_fixture fixture;
  fixture.answers = std::make_shared<answer_budget>(1 << 20);
  auto cursor = fixture.open("SELECT id FROM t ORDER BY id");
  auto first = must(cursor->next(fixture.pages_of(10), fixture.cancel));
  auto others = fixture.answers->open();
  REQUIRE(others.grow_to(950 << 10));
  auto error = failure_of(cursor->next(fixture.pages_of(10), fixture.cancel));
  CHECK(error.code == errc::overloaded);
  first = {};
  others.shrink_to(0);
  CHECK(fixture.drain(*cursor).size() == 1'990);
}

TEST_CASE("a cursor over a replaced file fails, and never returns rows of two files") {
  cursor_fixture fixture;
  auto cursor = fixture.open("SELECT id FROM t ORDER BY id");
  must(cursor->next(fixture.pages_of(10), fixture.cancel));
  {
    other_program made{fixture.folder / "new.db"};
    made.run("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t VALUES (-1, 'other')");
  }
  fs::rename(fixture.folder / "new.db", fixture.file);
  CHECK(failure_of(cursor->next(fixture.pages_of(10), fixture.cancel)).code == errc::file_replaced);
  // A new one sees the new file.
  auto later = fixture.open("SELECT id FROM t");
  CHECK(fixture.drain(*later) == std::vector<int64_t>{-1});
}

TEST_CASE("a cursor ends when it is cancelled or its time is over") {
  cursor_fixture fixture;
  constexpr const char* endless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  auto late = fixture.open(endless);
  CHECK(failure_of(late->next({10, 1'000, milliseconds{20}}, fixture.cancel)).code == errc::deadline_exceeded);
  auto cancelled = fixture.open("SELECT 1");
  fixture.cancel.cancel();
  CHECK(failure_of(cancelled->next(fixture.pages_of(1), fixture.cancel)).code == errc::cancelled);
}

TEST_CASE("a write is not a cursor, and errors are reported by the first page") {
  cursor_fixture fixture;
  for (auto [sql, code] : {std::pair{"DELETE FROM t", errc::invalid_request},
                           {"SELECT * FROM nothing", errc::sql_error},
                           {"SELECT ?1", errc::invalid_request},
                           {"COMMIT", errc::invalid_request}}) {
    INFO(sql);
    auto cursor = fixture.open(sql);
    CHECK(failure_of(cursor->next(fixture.pages_of(1), fixture.cancel)).code == code);
  }
}

TEST_CASE("an open cursor keeps its database from being closed as idle, and an ended one does not") {
  cursor_fixture fixture;
  auto cursor = fixture.open("SELECT id FROM t ORDER BY id");
  must(cursor->next(fixture.pages_of(10), fixture.cancel));
  CHECK(!fixture.store->close_idle());
  fixture.drain(*cursor);
  fixture.reader->close_idle();
  CHECK(fixture.store->close_idle());
}

TEST_CASE("a page of a slow query has the rows that were found by then") {
  cursor_fixture fixture;
  auto cursor =
    fixture.open("SELECT id, (SELECT count(*) FROM t a, t b WHERE a.id < 300 AND b.id <> t.id) FROM t ORDER BY id");
  auto page = must(cursor->next(fixture.pages_of(2'000), fixture.cancel));
  CHECK(!page.rows->empty());
  CHECK(page.rows->size() < 2'000);
}

} // namespace sluice::test::cursor_store_test
