#include "tests/support/buffer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::buffer_schema_actor_test {

namespace {

template <class T> const T& value_of(const actor_fixture::answer<T>& answer) {
  REQUIRE(ok(answer));
  return **(*answer);
}

struct started : buffer_fixture {
  started() { start(); }

  // Asks as a writer that is about to change the schema and keeps running.
  void quiesce() {
    changer = sys.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      self->request(aut, caf::infinite, quiesce_atom{}, std::string{"app.db"})
        .then([this](const flush_report& subject) { report = subject; });
      return {[](caf::tick_atom) {}};
    });
    run();
  }

  void resume() {
    caf::anon_send(aut, resume_atom{}, std::string{"app.db"});
    run();
  }

  ~started() { kill(changer); }

  caf::actor changer;
  std::optional<flush_report> report;
};

} // namespace

TEST_CASE_METHOD(started, "the audit has refused, flushed, requeued and discarded operations with their agents",
                 "[buffer]") {
  auto nowhere = a_put(buffer_operation::upsert, 1, {}, "nowhere");
  nowhere.peer = {7, 8};
  CHECK(failure_of(put(nowhere)).code == errc::sql_error);
  REQUIRE(log.records.size() == 1);
  CHECK(log.records[0].type == request_type::buffer_put);
  CHECK(log.records[0].agent == "alice");
  CHECK(log.records[0].db == "app.db");
  CHECK(log.records[0].status == "sql_error");
  CHECK(log.records[0].peer.pid == 8);
  CHECK(failure_of(get(1, "nowhere")).code == errc::sql_error);
  CHECK(ok(flush()));
  CHECK(ok(decide({}, false)));
  CHECK(ok(decide({}, true)));
  REQUIRE(log.records.size() == 5);
  CHECK(log.records[1].type == request_type::buffer_get);
  CHECK(log.records[2].type == request_type::flush);
  CHECK(log.records[2].status == "ok");
  CHECK(log.records[3].type == request_type::buffer_requeue);
  CHECK(log.records[4].type == request_type::buffer_discard);
  // Accepted operations are in the record of their flush.
  CHECK(ok(upsert(1, {})));
  CHECK(log.records.size() == 5);
  // The calls to an actor that fails are audited as well.
  db.holds = true;
  auto waits = flush();
  kill(aut);
  CHECK(failure_of(waits).code == errc::unavailable);
  CHECK(log.records.back().type == request_type::flush);
  CHECK(log.records.back().status == "unavailable");
}

TEST_CASE_METHOD(started,
                 "the rows of a database are written before its schema changes, and new ones are accepted after it",
                 "[buffer]") {
  upsert(1, {{"a", 1}});
  quiesce();
  REQUIRE(report);
  CHECK(report->flushed == 1);
  auto first = upsert(2, {{"a", 2}});
  auto second = upsert(2, {{"a", 3}});
  CHECK_FALSE(first->has_value());
  CHECK(status().pending == 0);
  static_cast<void>(db.file.execute({{"ALTER TABLE t RENAME COLUMN a TO c", {}}}));
  caf::anon_send(aut, invalidation{"app.db", 2, {"t", "sqlite_schema"}, true});
  resume();
  // They are checked against the new schema of the table.
  CHECK(failure_of(first).code == errc::invalid_request);
  CHECK(failure_of(second).code == errc::invalid_request);
  REQUIRE(ok(upsert(2, {{"c", 2}})));
  CHECK(value_of(flush()).flushed == 1);
}

TEST_CASE_METHOD(started, "operations that wait for a schema change are accepted in order, and refused at the end",
                 "[buffer]") {
  quiesce();
  auto first = upsert(2, {{"a", 2}});
  auto second = upsert(2, {{"a", 3}});
  resume();
  REQUIRE(ok(first));
  REQUIRE(ok(second));
  CHECK(value_of(flush()).flushed == 1);
  CHECK(cell("SELECT a FROM t WHERE k = 2") == value{3});
  quiesce();
  auto late = upsert(3, {});
  CHECK_FALSE(late->has_value());
  REQUIRE(ok(close()));
  CHECK(failure_of(late).code == errc::unavailable);
}

TEST_CASE_METHOD(started, "no operation overtakes those that waited for their table when a schema change began",
                 "[buffer]") {
  db.holds_reads = true;
  auto first = upsert(2, {{"a", 2}});
  quiesce();
  release_reads();
  caf::anon_send(aut, invalidation{"app.db", 2, {"sqlite_schema"}, true});
  run();
  db.holds_reads = true;
  auto second = upsert(2, {{"a", 3}});
  resume();
  release_reads();
  REQUIRE(ok(first));
  REQUIRE(ok(second));
  CHECK(value_of(flush()).flushed == 1);
  CHECK(cell("SELECT a FROM t WHERE k = 2") == value{3});
}

TEST_CASE_METHOD(started,
                 "a writer that ends during a schema change does not keep the buffer from accepting operations",
                 "[buffer]") {
  quiesce();
  auto waits = upsert(1, {{"a", 1}});
  CHECK_FALSE(waits->has_value());
  kill(changer);
  CHECK(ok(waits));
}

TEST_CASE_METHOD(started, "rows that cannot be written are reported to the request that changes the schema",
                 "[buffer]") {
  upsert(1, {{"a", 1}});
  db.fail(errc::busy);
  quiesce();
  REQUIRE(report);
  CHECK(report->kept == 1);
  CHECK(report->reason == "scripted");
}

} // namespace sluice::test::buffer_schema_actor_test
