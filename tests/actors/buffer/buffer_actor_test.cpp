#include "tests/support/buffer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::buffer_actor_test {

using namespace std::chrono_literals;

TEST_CASE_METHOD(started_buffer, "a put is answered at once and written after the interval", "[buffer]") {
  REQUIRE(value_of(upsert(1, {{"a", "x"}})).pending == 1);
  REQUIRE(count() == 0);
  advance(4'999ms);
  REQUIRE(count() == 0);
  CHECK(status().tables.at(0).oldest_ms == 4'999);
  advance(1ms);
  REQUIRE(count() == 1);
  CHECK(status().pending == 0);
  CHECK(status().flushes == 1);
  CHECK(status().flushed_rows == 1);
  CHECK(quiet());
}

TEST_CASE_METHOD(started_buffer, "operations on one row are written as one row, with the same result as one by one",
                 "[buffer]") {
  upsert(1, {{"a", "x"}});
  upsert(1, {{"b", "y"}});
  put(a_put(buffer_operation::update, 1, {{"a", "z"}}));
  REQUIRE(status().pending == 1);
  CHECK(status().merged == 2);
  CHECK(value_of(flush()).flushed == 1);
  REQUIRE(db.requests.size() == 1);
  REQUIRE(db.requests[0].statements.size() == 1);
  REQUIRE(cell("SELECT a || b FROM t") == value{"zy"});
}

TEST_CASE_METHOD(started_buffer, "a full batch of rows is written at once", "[buffer]") {
  for (auto i = 0; i < 9; ++i)
    upsert(i, {});
  REQUIRE(db.requests.empty());
  upsert(9, {});
  REQUIRE(db.requests.size() == 1);
  REQUIRE(count() == 10);
}

TEST_CASE_METHOD(buffer_fixture, "a table has an interval and a priority of its own", "[buffer]") {
  static_cast<void>(db.file.execute({{"CREATE TABLE u(k INTEGER PRIMARY KEY, a)", {}}}));
  settings.tables = {{"app.db", "U", 1s, 5}};
  start();
  upsert(1, {});
  put(a_put(buffer_operation::upsert, 1, {}, "u"));
  advance(1s);
  REQUIRE(db.requests.size() == 1);
  REQUIRE(db.requests[0].statements.at(0).sql.str().find("\"u\"") != std::string::npos);
  put(a_put(buffer_operation::upsert, 2, {}, "u"));
  flush();
  REQUIRE(db.requests.at(1).statements.at(0).sql.str().find("\"u\"") != std::string::npos);
  REQUIRE(db.requests.at(1).statements.at(1).sql.str().find("\"t\"") != std::string::npos);
}

TEST_CASE_METHOD(started_buffer, "a flush of one table leaves the others", "[buffer]") {
  static_cast<void>(db.file.execute({{"CREATE TABLE u(k INTEGER PRIMARY KEY, a)", {}}}));
  upsert(1, {});
  put(a_put(buffer_operation::upsert, 1, {}, "u"));
  auto report = value_of(flush("U"));
  CHECK(report.flushed == 1);
  REQUIRE(status().pending == 1);
  REQUIRE(count() == 0);
  REQUIRE(value_of(flush("nothing")).flushed == 0);
}

TEST_CASE_METHOD(started_buffer, "invalid puts are refused with the name of the error", "[buffer]") {
  CHECK(failure_of(put(a_put(buffer_operation::upsert, 1, {}, "nowhere"))).message == "no such table: nowhere");
  CHECK(failure_of(upsert(1, {{"z", 1}})).message == "the table 't' has no column 'z'");
  CHECK(failure_of(upsert({}, {})).code == errc::invalid_request);
  auto other = a_put(buffer_operation::update, 1, {{"b", 1}});
  other.row.columns = {{"a", 1}};
  auto no_key = failure_of(put(other));
  CHECK(no_key.code == errc::invalid_request);
  CHECK(no_key.message == "(a) is neither the primary key nor a unique index of the table 't', which has (k)");
  REQUIRE(status().pending == 0);
}

TEST_CASE_METHOD(started_buffer, "a row that the database rejects is kept alone, and can be requeued", "[buffer]") {
  for (auto i = 0; i < 9; ++i)
    i == 4 ? upsert("poison", {}) : upsert(i, {{"a", i}});
  auto report = value_of(flush());
  CHECK(report.flushed == 8);
  CHECK(report.set_aside == 1);
  REQUIRE(count() == 8);
  auto page = value_of(rejected());
  REQUIRE(page.rows.size() == 1);
  CHECK(page.rows[0].operation.row.columns[0].content == value{"poison"});
  CHECK(page.rows[0].message == "datatype mismatch");
  CHECK(status().set_aside == 1);
  CHECK(status().rejected == 1);

  REQUIRE(value_of(decide({page.rows[0].id}, false)) == 1);
  CHECK(status().set_aside == 0);
  CHECK(status().pending == 1);
  CHECK(value_of(flush()).set_aside == 1);
  REQUIRE(value_of(decide({}, true)) == 1);
  REQUIRE(value_of(rejected()).rows.empty());
}

TEST_CASE_METHOD(started_buffer, "rows that the file of rejected rows refuses are kept in memory until it accepts them",
                 "[buffer]") {
  disk.refuses = true;
  upsert("poison", {});
  CHECK(value_of(flush()).set_aside == 1);
  REQUIRE(value_of(rejected()).rows.size() == 1);
  REQUIRE(disk.rejects.empty());
  disk.refuses = false;
  REQUIRE(value_of(rejected()).rows.at(0).id == 1);
  REQUIRE(disk.rejects.size() == 1);
}

TEST_CASE_METHOD(started_buffer, "rows that could not be written are kept, and the same request is sent again",
                 "[buffer]") {
  upsert(1, {});
  db.fail(errc::busy);
  auto report = value_of(flush());
  CHECK(report.kept == 1);
  CHECK(report.reason == "scripted");
  CHECK(status().last_error == "scripted");
  CHECK(status().failed_flushes == 1);
  CHECK(status().pending == 1);
  // The new operation is not merged into one that is under way.
  upsert(1, {{"a", 2}});
  CHECK(status().pending == 2);
  advance(5s);
  REQUIRE(db.requests.size() == 3);
  CHECK(db.requests[1].idempotency_key == db.requests[0].idempotency_key);
  CHECK(db.requests[1].statements.size() == 1);
  REQUIRE(cell("SELECT a FROM t") == value{2});
  CHECK(status().last_error.empty());
}

TEST_CASE_METHOD(started_buffer, "a request of unknown outcome is not applied twice", "[buffer]") {
  static_cast<void>(db.file.execute({{"CREATE TABLE log(n)", {}}}));
  static_cast<void>(db.file.execute({{"CREATE TRIGGER w AFTER INSERT ON t BEGIN INSERT INTO log VALUES(1); END", {}}}));
  upsert(1, {});
  db.fail(errc::unavailable, outcome::unknown, true);
  CHECK(value_of(flush()).kept == 1);
  CHECK(value_of(flush()).flushed == 1);
  REQUIRE(cell("SELECT count(*) FROM log") == value{1});
}

TEST_CASE_METHOD(started_buffer, "a request of unknown outcome is sent again unchanged after any error", "[buffer]") {
  upsert(1, {});
  upsert(2, {});
  db.fail(errc::internal, outcome::unknown, true);
  CHECK(value_of(flush()).kept == 2);
  flush();
  REQUIRE(db.requests.size() == 2);
  REQUIRE(db.requests[0].idempotency_key == db.requests[1].idempotency_key);
}

TEST_CASE_METHOD(started_buffer, "a writer that ends during a flush is followed by another that gets the same request",
                 "[buffer]") {
  upsert(1, {});
  db.holds = true;
  auto waits = flush();
  auto key = db.held.at(0).idempotency_key;
  replace_writer();
  REQUIRE(value_of(waits).kept == 1);
  REQUIRE(value_of(flush()).flushed == 1);
  REQUIRE(db.requests.at(0).idempotency_key == key);
  REQUIRE(count() == 1);
}

TEST_CASE_METHOD(started_buffer, "an operation that always exceeds its deadline does not delay the others",
                 "[buffer]") {
  upsert(1, {});
  for (auto i = 0; i < 3; ++i)
    db.fail(errc::deadline_exceeded);
  flush();
  flush();
  REQUIRE(value_of(flush()).set_aside == 1);
}

TEST_CASE_METHOD(started_buffer, "from four fifths on, only operations that need no room are accepted", "[buffer]") {
  db.holds = true;
  for (auto i = 0; i < 80; ++i)
    REQUIRE(ok(upsert(i, {})));
  auto refused = failure_of(upsert(80, {}));
  CHECK(refused.code == errc::overloaded);
  CHECK(refused.retry_after_ms > 0);
  CHECK(ok(upsert(79, {{"a", 1}})));
  CHECK(status().overloaded == 1);
  release();
  CHECK(ok(upsert(80, {})));
}

TEST_CASE_METHOD(started_buffer, "a put may wait for room, up to its own limit", "[buffer]") {
  db.holds = true;
  for (auto i = 0; i < 80; ++i)
    upsert(i, {});
  auto patient = a_put(buffer_operation::upsert, 80);
  patient.wait = 2s;
  auto hasty = a_put(buffer_operation::upsert, 81);
  hasty.wait = 1s;
  auto first = put(patient);
  auto second = put(hasty);
  REQUIRE(!first->has_value());
  advance(1s);
  REQUIRE(!first->has_value());
  REQUIRE(failure_of(second).code == errc::overloaded);
  release();
  REQUIRE(ok(first));
}

TEST_CASE_METHOD(started_buffer, "a put that is cancelled waits no longer, and is not written", "[buffer]") {
  db.holds = true;
  for (auto i = 0; i < 80; ++i)
    upsert(i, {});
  auto patient = a_put(buffer_operation::upsert, 80);
  patient.wait = 1h;
  patient.cancel = cancel_token::make();
  auto first = put(patient);
  REQUIRE(!first->has_value());
  patient.cancel.cancel();
  caf::anon_send(aut, caf::tick_atom_v);
  run();
  REQUIRE(failure_of(first).code == errc::cancelled);
  REQUIRE(failure_of(put(patient)).code == errc::cancelled);
}

TEST_CASE_METHOD(started_buffer, "requeued rows may use the last fifth of the room", "[buffer]") {
  for (auto i = 0; i < 3; ++i)
    upsert(std::string(1, static_cast<char>('a' + i)), {});
  flush();
  db.holds = true;
  for (auto i = 0; i < 80; ++i)
    upsert(i, {});
  REQUIRE(failure_of(upsert(80, {})).code == errc::overloaded);
  REQUIRE(value_of(decide({}, false)) == 3);
  REQUIRE(status().pending == 83);
}

TEST_CASE_METHOD(started_buffer,
                 "the audit has the agents and numbers of operations in a commit, and the rejected ones", "[buffer]") {
  upsert(1, {{"a", 1}});
  upsert(1, {{"b", 1}});
  auto bob = a_put(buffer_operation::upsert, 1, {{"a", 3}});
  bob.agent = "bob";
  bob.peer = {7, 8};
  put(bob);
  flush();
  auto records = buffered_records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].agent == "alice");
  CHECK(records[0].count == 2);
  CHECK(records[0].status == "committed");
  CHECK(records[0].commit_seq == 1);
  CHECK(records[0].correlation_id == db.requests[0].request_id);
  CHECK(records[0].tables->at(0) == "t");
  CHECK(records[1].agent == "bob");
  CHECK(records[1].peer.pid == 8);
  upsert("poison", {});
  flush();
  CHECK(buffered_records().back().status == "sql_error");
}

TEST_CASE_METHOD(started_buffer, "callers of a buffer that fails get an answer, and its successor serves", "[buffer]") {
  upsert(1, {});
  auto waits = send(a_put(buffer_operation::upsert, 2));
  restart();
  REQUIRE(waits->has_value());
  CHECK(status().last_error.find("1 rows were lost") != std::string::npos);
  CHECK(status().puts == 1);
  REQUIRE(ok(upsert(3, {})));
}

TEST_CASE_METHOD(started_buffer, "a row is returned with its pending operations", "[buffer]") {
  REQUIRE(!value_of(get(1)).found);
  static_cast<void>(db.file.execute({{"INSERT INTO t VALUES(1, 'old', 'kept')", {}}}));
  upsert(1, {{"a", "new"}});
  auto row = value_of(get(1));
  REQUIRE(row.found);
  CHECK(row.pending == 1);
  CHECK(row.columns == std::vector<named_value>{{"k", 1}, {"a", "new"}, {"b", "kept"}});
  put(a_put(buffer_operation::erase, 1));
  CHECK(!value_of(get(1)).found);
  db.holds = true;
  auto waits = flush();
  CHECK(!value_of(get(1)).found);
  release();
  CHECK(!value_of(get(1)).found);
}

TEST_CASE_METHOD(started_buffer, "a row whose result only the database can compute is written before it is returned",
                 "[buffer]") {
  static_cast<void>(db.file.execute(
    {{"CREATE TRIGGER w AFTER INSERT ON t BEGIN UPDATE t SET b = 'by trigger' WHERE k = new.k; END", {}}}));
  upsert(1, {{"a", 1}});
  CHECK(value_of(get(1)).columns.at(2).content == value{"by trigger"});
  upsert(2, {});
  db.fail(errc::busy);
  CHECK(failure_of(get(2)).code == errc::busy);
}

TEST_CASE_METHOD(started_buffer, "an update under way does not apply to a row that is inserted later", "[buffer]") {
  put(a_put(buffer_operation::update, 1, {{"a", "none"}}));
  upsert(1, {{"b", 1}});
  db.holds = true;
  flush();
  // The commit is done, but its answer has not arrived.
  REQUIRE(db.execute(db.held.at(0)).engaged());
  auto waits = get(1);
  release();
  CHECK(value_of(waits).columns == std::vector<named_value>{{"k", 1}, {"a", {}}, {"b", 1}});
}

TEST_CASE_METHOD(started_buffer, "a row that is written during its lookup is returned as written", "[buffer]") {
  upsert(1, {{"a", "new"}});
  db.holds_reads = true;
  auto waits = get(1);
  REQUIRE(value_of(flush()).flushed == 1);
  // The answer has the row from before the flush.
  release_reads();
  REQUIRE(value_of(waits).found);
  CHECK(value_of(waits).columns.at(1).content == value{"new"});
  CHECK(value_of(waits).pending == 0);
}

TEST_CASE_METHOD(started_buffer, "the cached schema of a table is dropped when its schema changes", "[buffer]") {
  upsert(1, {});
  static_cast<void>(db.file.execute({{"ALTER TABLE t ADD COLUMN c", {}}}));
  CHECK(!ok(upsert(1, {{"c", 1}})));
  actors->context("app.db").notify(invalidation{"app.db", 1, {"sqlite_schema"}, true});
  run();
  CHECK(ok(upsert(1, {{"c", 1}})));
}

} // namespace sluice::test::buffer_actor_test
