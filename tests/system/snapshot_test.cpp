#include "tests/system/fixture.hpp"

#include <functional>
#include <stdexcept>

namespace sluice::test::snapshot_test {

using std::chrono::milliseconds;

namespace {

struct one_table {
  temp_dir folder;
  broker leader;
  database db;

  explicit one_table(const std::function<void(broker_config&)>& change)
    : leader(open_broker(folder.path(), change)), db(must(leader.open_database("app.db"))) {
    must(db.write("host", "CREATE TABLE t(id INTEGER PRIMARY KEY)"));
    must(db.write("host", "INSERT INTO t VALUES (1), (2)"));
  }
  one_table() : one_table([](broker_config&) {}) {}

  static value count(snapshot& in) { return must(in.query("SELECT count(*) FROM t")).rows->at(0, 0); }
};

errc code_of_query(snapshot& in, const char* sql) {
  auto result = in.query(sql);
  REQUIRE_FALSE(result);
  return code_of(result.error());
}

} // namespace

TEST_CASE("all queries of a snapshot see one state, whatever is committed meanwhile", "[system][snapshot]") {
  one_table f;
  auto error = f.db.with_snapshot({"host"}, [&](snapshot& view) {
    CHECK(f.count(view) == value{2});
    must(f.db.write("host", "DELETE FROM t"));
    CHECK(f.count(view) == value{2});
    auto found = must(view.query("SELECT id FROM t WHERE id >= ? ORDER BY id", {1}, {.max_rows = 1}));
    CHECK((found.truncated && found.rows->size() == 1));
  });
  CHECK_FALSE(error);
  CHECK_FALSE(f.db.with_snapshot({"host"}, [&](snapshot& view) { CHECK(f.count(view) == value{0}); }));
}

TEST_CASE("a snapshot only reads, and a refused query leaves it usable", "[system][snapshot]") {
  one_table f;
  auto error = f.db.with_snapshot({"host"}, [&](snapshot& view) {
    CHECK(code_of_query(view, "DELETE FROM t") == errc::invalid_request);
    CHECK(code_of_query(view, "COMMIT") == errc::invalid_request);
    CHECK(code_of_query(view, "SELECT * FROM nowhere") == errc::sql_error);
    CHECK(f.count(view) == value{2});
  });
  CHECK_FALSE(error);
}

TEST_CASE("a snapshot ends with its lifetime, and queries are interrupted then", "[system][snapshot]") {
  one_table f;
  auto error = f.db.with_snapshot({"host", milliseconds{50}}, [&](snapshot& view) {
    auto endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    CHECK(code_of_query(view, endless) == errc::deadline_exceeded);
    CHECK(code_of_query(view, "SELECT 1") == errc::deadline_exceeded);
  });
  CHECK_FALSE(error);
  CHECK(code_of(f.db.with_snapshot({"host", milliseconds{-1}}, [](snapshot&) {})) == errc::invalid_request);
  CHECK(code_of(f.db.with_snapshot({"host", std::chrono::hours{1}}, [](snapshot&) {})) == errc::invalid_request);
}

TEST_CASE("snapshots are bounded, and an exception of the host gives its place back", "[system][snapshot]") {
  one_table f{[](broker_config& config) { config.max_cursors = 1; }};
  auto nested = [&](snapshot&) {
    CHECK(code_of(f.db.with_snapshot({"host"}, [](snapshot&) {})) == errc::overloaded);
    throw std::runtime_error("the host's");
  };
  CHECK_THROWS_AS(f.db.with_snapshot({"host"}, nested), std::runtime_error);
  CHECK_FALSE(f.db.with_snapshot({"host"}, [&](snapshot& view) { CHECK(f.count(view) == value{2}); }));
}

TEST_CASE("a snapshot needs an open broker and a file", "[system][snapshot]") {
  one_table f;
  auto later = must(f.leader.open_database("later.db"));
  auto is_called = false;
  CHECK(code_of(later.with_snapshot({"host"}, [&](snapshot&) { is_called = true; })) == errc::unknown_database);
  auto error = f.db.with_snapshot({"host"}, [&](snapshot& view) {
    f.leader.shutdown();
    CHECK(code_of_query(view, "SELECT 1") == errc::unavailable);
  });
  CHECK_FALSE(error);
  CHECK(code_of(f.db.with_snapshot({"host"}, [&](snapshot&) { is_called = true; })) == errc::unavailable);
  CHECK_FALSE(is_called);
}

} // namespace sluice::test::snapshot_test
