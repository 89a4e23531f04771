#include "tests/system/fixture.hpp"

namespace sluice::test::cursor_test {

using std::chrono::milliseconds;

namespace {

struct many_rows {
  temp_dir folder;
  broker leader;
  database db;

  template <class Change>
  explicit many_rows(Change change)
    : folder(), leader(open_broker(folder.path(), change)), db(must(leader.open_database("app.db"))) {
    must(db.write("host", "CREATE TABLE t(id INTEGER PRIMARY KEY)"));
    must(db.write("host", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) "
                          "INSERT INTO t SELECT i FROM n"));
  }
  many_rows() : many_rows([](broker_config&) {}) {}

  static read_request request(std::string sql = "SELECT id FROM t ORDER BY id") {
    read_request result;
    result.agent = "host";
    result.query.sql = std::move(sql);
    result.limits.max_rows = 100;
    return result;
  }

  std::unique_ptr<cursor> open() { return must(db.open_cursor(request())); }
  size_t count_open() const { return must(leader.open_cursors()).size(); }
};

size_t count_rows(cursor& from) {
  size_t result = 0;
  for (auto is_last = false; !is_last;) {
    auto page = must(from.next());
    result += page.rows->size();
    is_last = page.is_last;
  }
  return result;
}

} // namespace

TEST_CASE("a host reads with a cursor the rows at the time of its opening") {
  many_rows fixture;
  auto rows = fixture.open();
  auto first = must(rows->next());
  CHECK(first.rows->size() == 100);
  CHECK(first.as_of_seq == 2);
  must(fixture.db.write("host", "DELETE FROM t"));
  CHECK(count_rows(*rows) == 900);
  CHECK(must(rows->next()).is_last);
  CHECK(fixture.count_open() == 0);
  auto later = fixture.open();
  CHECK(count_rows(*later) == 0);
}

TEST_CASE("a cursor that is destroyed is closed") {
  many_rows fixture;
  {
    auto rows = fixture.open();
    CHECK(fixture.count_open() == 1);
  }
  CHECK(fixture.count_open() == 0);
}

TEST_CASE("a broker that shuts down ends its cursors first, and leaves no WAL") {
  many_rows fixture;
  auto rows = fixture.open();
  must(rows->next());
  CHECK(!fixture.leader.shutdown());
  CHECK(refused(rows->next()).code == errc::unavailable);
  CHECK(!std::filesystem::exists(fixture.folder / "app.db-wal"));
}

TEST_CASE("a draining broker ends the cursors of its hosts") {
  many_rows fixture;
  auto rows = fixture.open();
  must(rows->next());
  fixture.leader.drain();
  CHECK(refused(rows->next()).code == errc::unavailable);
  CHECK(refused(fixture.db.open_cursor(fixture.request())).code == errc::unavailable);
}

TEST_CASE("a cursor refuses the same statements as a read") {
  many_rows fixture;
  auto wrong = fixture.request("SELECT * FROM nothing");
  CHECK(refused(fixture.db.open_cursor(wrong)).code == errc::sql_error);
  auto early = fixture.request();
  early.min_seq = 99;
  CHECK(refused(fixture.db.open_cursor(early)).code == errc::invalid_request);
  auto anonymous = fixture.request();
  anonymous.agent = "sluice:nobody";
  CHECK(refused(fixture.db.open_cursor(anonymous)).code == errc::invalid_request);
  CHECK(fixture.count_open() == 0);
}

TEST_CASE("a database with an open cursor is not closed as idle, and is closed after that") {
  many_rows fixture{[](broker_config& config) {
    config.close_idle_after = milliseconds{20};
    config.idle_after = milliseconds{10};
  }};
  auto rows = fixture.open();
  must(rows->next());
  must(fixture.db.write("host", "INSERT INTO t VALUES (2000)"));
  // The files of a cursor that is used later are closed meanwhile.
  auto other = must(fixture.leader.open_database("other.db"));
  must(other.write("host", "CREATE TABLE t(id)"));
  await([&] { return !std::filesystem::exists(fixture.folder / "other.db-wal"); });
  CHECK(std::filesystem::exists(fixture.folder / "app.db-wal"));
  CHECK(count_rows(*rows) == 900);
  await([&] { return !std::filesystem::exists(fixture.folder / "app.db-wal"); });
}

} // namespace sluice::test::cursor_test
