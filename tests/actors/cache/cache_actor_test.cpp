#include "actors/cache/cache.hpp"
#include "actors/reader/reader.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/read_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::cache_actor_test {

using namespace std::chrono_literals;

namespace {

struct fixture : actor_fixture {
  fake_view view;
  received_messages log;
  database_context& context = actors->context("app.db");
  std::shared_ptr<result_cache> hits = std::make_shared<result_cache>(result_cache_settings{});
  std::vector<reader_actor> readers;
  cache_actor aut;

  fixture() {
    actors->set(sys.spawn(audit_stub, &log, &actors->audit_records()));
    actors->set(sys.spawn(supervisor_stub, &log));
    context.open({sys.spawn(writer_stub, &log), nullptr});
    start();
    advance(100ms);
  }

  ~fixture() {
    kill(aut);
    for (auto& reader : readers)
      kill(reader);
    readers.clear();
    actors->clear();
    run();
  }

  void start() {
    cache_dependencies parts;
    parts.hits = hits;
    parts.actors = actors;
    parts.time = &time;
    parts.misses = std::make_shared<std::atomic<uint64_t>>(0);
    parts.joined = std::make_shared<std::atomic<uint64_t>>(0);
    aut = sys.spawn(cache, parts);
    actors->set(aut);
    run();
  }

  void add_reader() {
    auto result = std::make_shared<reader_dependencies>();
    result->store = std::make_unique<fake_read_store>(view);
    result->time = &time;
    readers.push_back(sys.spawn(reader, result));
    caf::anon_send(aut, caf::join_atom_v, std::string{"app.db"}, readers.back());
    run();
  }

  answer<read_result> read(std::string id, std::string sql) {
    return ask<read_result>(aut, a_read(std::move(id), std::move(sql)));
  }

  // Entries are kept for five seconds.
  void until_entries_have_expired() {
    for (auto i = 0; i < 70; ++i)
      advance(100ms);
  }

  answer<bool> cancel(std::string id) { return ask<bool>(aut, cancel_atom{}, std::move(id)); }

  std::optional<read_result> hit(const std::string& sql) {
    auto request = a_read("hit", sql);
    return hits->find(context, request, request.limits, time.now());
  }
};

} // namespace

TEST_CASE("the cache has a reader answer, shares the answer and keeps it") {
  fixture f;
  f.add_reader();
  auto a = f.read("a", "t");
  auto b = f.read("b", "t");
  f.run();
  REQUIRE(ok(a));
  REQUIRE(ok(b));
  CHECK((**a)->rows->at(0, 0) == value{"t"});
  CHECK((**b)->source == read_source::joined);
  CHECK(f.view.runs == 1);
  CHECK(f.hit("t"));
}

TEST_CASE("reads are sent to the audit in batches, and then nothing is scheduled") {
  fixture f;
  CHECK(f.quiet());
  f.add_reader();
  f.read("a", "t");
  f.read("b", "u");
  f.run();
  CHECK(f.log.records.empty());
  f.advance(100ms);
  CHECK(f.log.records.size() == 2);
  f.until_entries_have_expired();
  CHECK(f.quiet());
}

TEST_CASE("a tick sends the audit the hits since the previous one") {
  fixture f;
  f.add_reader();
  f.read("a", "t");
  f.run();
  f.advance(100ms);
  f.hit("t");
  f.hit("t");
  for (auto i = 0; i < 10; ++i)
    f.advance(100ms);
  REQUIRE(f.log.records.size() == 2);
  CHECK(f.log.records[1].type == request_type::cache_hit);
  CHECK(f.log.records[1].count == 2);
  f.until_entries_have_expired();
  CHECK(f.quiet());
}

TEST_CASE("an invalidation removes stale entries, many of them cause few sweeps, and then nothing is scheduled") {
  fixture f;
  f.add_reader();
  f.read("a", "t");
  f.read("b", "u");
  f.run();
  f.advance(100ms);
  commit_to(f.context.versions(), {"t"});
  for (auto i = 0; i < 10; ++i)
    caf::anon_send(f.aut, invalidation{"app.db", 1, {"t"}, false});
  f.run();
  f.advance(100ms);
  cache_status status;
  f.hits->describe(status);
  CHECK(status.entries == 1);
  CHECK(status.invalidated == 1);
  f.until_entries_have_expired();
  CHECK(f.quiet());
}

TEST_CASE("the cache looks at some entries in each tick until it has looked at all") {
  fixture f;
  constexpr uint64_t entries = 9'000;
  dependencies table{&f.context.versions().changed_at("t")};
  read_result result;
  result.rows = one_cell(1);
  for (uint64_t i = 0; i < entries; ++i) {
    auto request = a_read("a", "q" + std::to_string(i));
    f.hits->insert(f.context, request, request.limits, result, table, f.context.versions().now(), f.time.now());
  }
  commit_to(f.context.versions(), {"t"});
  caf::anon_send(f.aut, invalidation{"app.db", 1, {"t"}, false});
  f.run();
  auto left = [&f] {
    cache_status status;
    f.hits->describe(status);
    return status.entries;
  };
  auto before = entries;
  for (auto sweeps = 0; before > 0; ++sweeps) {
    REQUIRE(sweeps < 4);
    CHECK(before - left() <= 4'096);
    before = left();
    f.advance(100ms);
  }
  f.advance(100ms);
  CHECK(f.quiet());
}

TEST_CASE("a killed cache leaves no read without an answer, and its successor starts empty") {
  fixture f;
  auto queued = f.read("queued", "t");
  f.run();
  f.add_reader();
  f.run();
  CHECK(ok(queued));
  auto waiting = f.read("waiting", "u");
  while (f.view.runs < 1 && f.sched().try_run_once())
    ;
  auto in_mailbox = f.read("in mailbox", "v");
  f.sched().try_run_once();
  caf::anon_send_exit(f.aut, caf::exit_reason::kill);
  f.run();
  for (const auto& each : {waiting, in_mailbox}) {
    REQUIRE(each->has_value());
    if (!ok(each))
      CHECK(failure_of(each).code == errc::unavailable);
  }
  auto late = f.read("late", "w");
  f.run();
  CHECK(failure_of(late).code == errc::unavailable);
  CHECK(failure_of(late).retry_after_ms > 0);
  f.start();
  CHECK(!f.hit("t"));
}

TEST_CASE("reads that wait when the cache is killed are answered") {
  fixture f;
  auto a = f.read("a", "t");
  auto b = f.read("b", "t");
  f.run();
  CHECK(!a->has_value());
  f.kill(f.aut);
  CHECK(failure_of(a).code == errc::unavailable);
  CHECK(failure_of(b).code == errc::unavailable);
}

TEST_CASE("a reader that is killed or throws fails only its own query") {
  fixture f;
  f.add_reader();
  auto a = f.read("a", "t");
  f.view.throws = GENERATE(true, false);
  if (f.view.throws) {
    f.run();
  } else {
    // The query is in the reader's mailbox, or already answered.
    caf::anon_send_exit(f.readers[0], caf::exit_reason::kill);
    f.run();
  }
  REQUIRE(a->has_value());
  if (!ok(a))
    CHECK((failure_of(a).code == errc::unavailable || failure_of(a).code == errc::internal));
  f.view.throws = false;
  auto b = f.read("b", "u");
  f.run();
  CHECK(!b->has_value());
  f.add_reader();
  CHECK(ok(b));
}

TEST_CASE("when reads wait the supervisor is asked for another reader") {
  fixture f;
  f.read("a", "t");
  f.run();
  CHECK(f.log.wanted_readers == std::vector<std::string>{"app.db"});
}

TEST_CASE("an external commit that a reader has seen is reported to the writer") {
  fixture f;
  f.add_reader();
  f.read("a", "t");
  f.run();
  f.view.external_commit = true;
  f.read("b", "u");
  f.run();
  CHECK(f.log.verifies == 1);
  CHECK(!f.hit("t"));
}

TEST_CASE("reads that wait when their database is put in quarantine are answered") {
  fixture f;
  auto with_reader = GENERATE(true, false);
  if (with_reader)
    f.add_reader();
  f.view.throws = true;
  auto a = f.read("a", "t");
  auto b = f.read("b", "u");
  if (!with_reader)
    f.run();
  f.context.close(describe(make_error(errc::unavailable, "in quarantine")), true);
  caf::anon_send(f.aut, invalidation{"app.db", 0, {}, true});
  f.run();
  for (const auto& each : {a, b}) {
    REQUIRE(each->has_value());
    CHECK(!ok(each));
  }
  CHECK(failure_of(b).message == "in quarantine");
}

TEST_CASE("closing answers every read and sends all records to the audit") {
  fixture f;
  auto a = f.read("a", "t");
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  auto late = f.read("late", "t");
  f.run();
  CHECK(ok(closed));
  CHECK(failure_of(a).code == errc::unavailable);
  CHECK(failure_of(late).code == errc::unavailable);
  CHECK(f.log.records.size() == 1);
}

TEST_CASE("a waiting read can be cancelled by its id, once, and is audited") {
  fixture f;
  auto waiting = f.read("a", "t");
  f.run();
  auto cancelled = f.cancel("a");
  auto unknown = f.cancel("b");
  f.run();
  REQUIRE(ok(cancelled));
  CHECK(***cancelled);
  REQUIRE(ok(unknown));
  CHECK(!***unknown);
  CHECK(failure_of(waiting).code == errc::cancelled);
  CHECK(failure_of(waiting).request_id == "a");
  auto again = f.cancel("a");
  f.run();
  CHECK(!***again);
  f.advance(100ms);
  REQUIRE(f.log.records.size() == 1);
  CHECK(f.log.records[0].request_id == "a");
  CHECK(f.log.records[0].status == "cancelled");
  f.add_reader();
  CHECK(f.view.runs == 0);
}

} // namespace sluice::test::cache_actor_test
