#include "actors/buffer/buffer_engine.hpp"
#include "tests/support/fake_buffer_store.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/plain_database.hpp"

#include <catch2/catch.hpp>

#include <optional>

namespace sluice::test::buffer_engine_test {

using namespace std::chrono_literals;

namespace {

/// An engine and the table `t` of `app.db`; the test takes the part of the actors around the engine.
struct engine_fixture {
  explicit engine_fixture(bool journal = false) {
    settings.rows.batch = 3;
    settings.rows.max_pending = 10;
    settings.journal = journal;
    start();
  }

  void start() {
    engine.emplace(settings, std::make_unique<fake_buffer_store>(disk), time, view);
    take_effects();
  }

  void take_effects() {
    out = engine->take_effects();
    if (out.tick_in)
      next_tick = time.now() + *out.tick_in;
  }

  static buffer_put a_put(int64_t key, std::string table = "t") {
    buffer_put operation;
    operation.row = {"app.db", std::move(table), {{"k", key}}};
    operation.agent = "alice";
    return operation;
  }

  void put(buffer_put operation) {
    engine->put(std::move(operation), reply<buffer_receipt>{});
    take_effects();
  }

  void tick() {
    engine->tick();
    take_effects();
  }

  /// Answers a request for the schema with that of the table in the file.
  void read_schema(const std::string& table = "t") {
    read_result answer;
    answer.rows = std::make_shared<const rowset>(file.query(engine->schema_query("app.db", table).query));
    engine->schema_read("app.db", table, std::move(answer));
    take_effects();
  }

  /// Gives the engine the schema of the table.
  void learn_table() {
    put(a_put(1'000));
    read_schema();
    engine->flush({}, reply<flush_report>{});
    take_effects();
    answer_write();
  }

  void answer_write() {
    engine->written("app.db", write_result{});
    take_effects();
  }

  void refuse_write(errc code) {
    engine->written("app.db", make_error(code, "scripted"));
    take_effects();
  }

  void close() {
    engine->close();
    take_effects();
  }

  uint64_t pending() { return view.get().status.pending; }

  plain_database file{{"CREATE TABLE t(k INTEGER PRIMARY KEY, a)"}};
  fake_clock time;
  fake_buffer_file disk;
  synchronized<buffer_view> view;
  buffer_engine_settings settings;
  std::optional<buffer_engine> engine;
  /// The requests of the last call.
  buffer_engine::effects out;
  /// The time at which the engine asks for a tick.
  clock::steady next_tick{};
};

} // namespace

TEST_CASE("puts for an unknown table wait for its schema, which is requested once", "[buffer_engine]") {
  engine_fixture f;
  f.put(f.a_put(1));
  REQUIRE(f.out.unknown_tables.size() == 1);
  CHECK(f.out.unknown_tables[0].table == "t");
  CHECK(f.out.receipts.empty());
  f.put(f.a_put(2));
  CHECK(f.out.unknown_tables.empty());
  f.read_schema();
  REQUIRE(f.out.receipts.size() == 2);
  CHECK(f.out.receipts[0].result->pending == 1);
  CHECK(f.out.receipts[1].result->pending == 2);
  f.put(f.a_put(1));
  REQUIRE(f.out.receipts.size() == 1);
  CHECK(f.out.receipts[0].result->pending == 2);
}

TEST_CASE("puts for a missing table are refused, and the next put requests its schema again", "[buffer_engine]") {
  engine_fixture f;
  f.put(f.a_put(1, "nowhere"));
  f.read_schema("nowhere");
  REQUIRE(f.out.receipts.size() == 1);
  CHECK(code_of(f.out.receipts[0].result.error()) == errc::sql_error);
  f.put(f.a_put(1, "nowhere"));
  CHECK(f.out.unknown_tables.size() == 1);
}

TEST_CASE("rows are written when a batch of them waits, one request at a time", "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  f.put(f.a_put(1));
  f.put(f.a_put(2));
  CHECK(f.out.writes.empty());
  f.put(f.a_put(3));
  REQUIRE(f.out.writes.size() == 1);
  CHECK(f.out.writes[0].db == "app.db");
  CHECK(f.out.writes[0].request.statements.size() == 3);
  for (auto key = 4; key <= 6; ++key)
    f.put(f.a_put(key));
  CHECK(f.out.writes.empty());
  f.answer_write();
  REQUIRE(f.out.writes.size() == 1);
  REQUIRE(f.out.records.size() == 1);
  CHECK(f.out.records[0].status == "committed");
  CHECK(f.out.records[0].count == 3);
  CHECK(f.pending() == 3);
}

TEST_CASE("rows are written after their interval, at the requested tick", "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  f.put(f.a_put(1));
  CHECK(f.next_tick == f.time.now() + 5s);
  f.time.advance(4'999ms);
  f.tick();
  CHECK(f.out.writes.empty());
  CHECK_FALSE(f.out.tick_in);
  f.time.advance(1ms);
  f.tick();
  CHECK(f.out.writes.size() == 1);
}

TEST_CASE("a flush is answered after all its requests, with the outcome of the rows", "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  f.put(f.a_put(1));
  f.put(f.a_put(2));
  f.engine->flush({}, reply<flush_report>{});
  f.take_effects();
  REQUIRE(f.out.writes.size() == 1);
  CHECK(f.out.reports.empty());
  // Two operations in one request are refused together: each is tried alone.
  f.refuse_write(errc::constraint);
  REQUIRE(f.out.writes.size() == 1);
  CHECK(f.out.writes[0].request.statements.size() == 1);
  f.refuse_write(errc::constraint);
  CHECK(f.disk.rejects.size() == 1);
  f.answer_write();
  REQUIRE(f.out.reports.size() == 1);
  CHECK(f.out.reports[0].result->flushed == 1);
  CHECK(f.out.reports[0].result->set_aside == 1);
}

TEST_CASE("a request that fails for a temporary reason is sent again unchanged after a pause", "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  for (auto key = 1; key <= 3; ++key)
    f.put(f.a_put(key));
  auto sent = f.out.writes.at(0).request;
  f.refuse_write(errc::busy);
  CHECK(f.out.writes.empty());
  REQUIRE(f.next_tick > f.time.now());
  f.time.advance(f.next_tick - f.time.now());
  f.tick();
  REQUIRE(f.out.writes.size() == 1);
  CHECK(f.out.writes[0].request.idempotency_key == sent.idempotency_key);
  CHECK(f.out.writes[0].request.statements.size() == 3);
}

TEST_CASE("with a journal, operations are answered by the tick that has written them together", "[buffer_engine]") {
  engine_fixture f{true};
  f.put(f.a_put(1));
  f.read_schema();
  CHECK(f.out.calls_tick);
  CHECK(f.out.receipts.empty());
  f.put(f.a_put(2));
  CHECK_FALSE(f.out.calls_tick);
  f.tick();
  REQUIRE(f.out.receipts.size() == 2);
  CHECK(f.out.receipts[1].result->journaled);
  CHECK(f.disk.appends == 1);
}

TEST_CASE("an engine sends the operations in the journal of its predecessor", "[buffer_engine]") {
  engine_fixture f{true};
  f.put(f.a_put(1));
  f.read_schema();
  f.tick();
  f.start();
  CHECK(f.out.writes.size() == 1);
  CHECK(f.pending() == 1);
}

TEST_CASE("operations are held back while a schema changes, and taken in order afterwards", "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  f.put(f.a_put(1));
  f.engine->quiesce("app.db", reply<flush_report>{});
  f.take_effects();
  CHECK(f.engine->is_quiet("app.db"));
  REQUIRE(f.out.writes.size() == 1);
  f.put(f.a_put(2));
  CHECK(f.out.receipts.empty());
  f.answer_write();
  REQUIRE(f.out.reports.size() == 1);
  CHECK(f.out.reports[0].result->flushed == 1);
  f.engine->resume("app.db");
  f.take_effects();
  CHECK(f.out.receipts.size() == 1);
}

TEST_CASE("a row is shown with its pending operations, from one query", "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  auto operation = f.a_put(1);
  operation.values = {{"a", "new"}};
  f.put(operation);
  buffer_get request;
  request.row = operation.row;
  f.engine->get(request, reply<buffered_row>{});
  f.take_effects();
  REQUIRE(f.out.queries.size() == 1);
  read_result stored;
  stored.rows = std::make_shared<const rowset>(f.file.query(f.out.queries[0].request.query));
  f.engine->row_read(f.out.queries[0].lookup_id, stored);
  f.take_effects();
  REQUIRE(f.out.rows.size() == 1);
  CHECK(f.out.rows[0].result->found);
  CHECK(f.out.rows[0].result->pending == 1);
  CHECK(f.out.rows[0].result->columns == std::vector<named_value>{{"k", 1}, {"a", "new"}});
}

TEST_CASE("closing ends when everything is written", "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  f.put(f.a_put(1));
  f.close();
  REQUIRE(f.out.writes.size() == 1);
  CHECK_FALSE(f.out.closed);
  f.put(f.a_put(2));
  REQUIRE(f.out.receipts.size() == 1);
  CHECK(code_of(f.out.receipts[0].result.error()) == errc::unavailable);
  f.answer_write();
  REQUIRE(f.out.closed);
  CHECK_FALSE(*f.out.closed);
}

TEST_CASE("closing ends in time, sends nothing more, and keeps the remaining rows with the rejected ones",
          "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  f.put(f.a_put(1));
  f.close();
  f.refuse_write(errc::busy);
  CHECK_FALSE(f.out.closed);
  f.time.advance(10s);
  f.tick();
  CHECK(f.out.writes.empty());
  REQUIRE(f.out.closed);
  CHECK_FALSE(*f.out.closed);
  REQUIRE(f.disk.rejects.size() == 1);
  CHECK(f.disk.rejects.begin()->second.message == "the broker ended before it was written: scripted");
  REQUIRE(f.out.warnings.size() == 1);
  CHECK(f.out.warnings[0].first == log_level::warning);
  // The engine ignores an answer that comes too late.
  f.answer_write();
  CHECK_FALSE(f.out.closed);
}

TEST_CASE("from four fifths on a put waits for room, and is refused at its time-out", "[buffer_engine]") {
  engine_fixture f;
  f.learn_table();
  for (auto key = 1; key <= 8; ++key)
    f.put(f.a_put(key));
  auto patient = f.a_put(9);
  patient.wait = 1s;
  f.put(patient);
  CHECK(f.out.receipts.empty());
  f.put(f.a_put(10));
  // No operation overtakes one that waits.
  REQUIRE(f.out.receipts.size() == 1);
  CHECK(code_of(f.out.receipts[0].result.error()) == errc::overloaded);
  f.time.advance(1s);
  f.tick();
  REQUIRE(f.out.receipts.size() == 1);
  CHECK(code_of(f.out.receipts[0].result.error()) == errc::overloaded);
  CHECK(f.view.get().status.overloaded == 2);
}

} // namespace sluice::test::buffer_engine_test
