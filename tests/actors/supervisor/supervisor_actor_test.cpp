#include "tests/support/broker_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::supervisor_actor_test {

using namespace std::chrono_literals;

using fixture = broker_fixture;

TEST_CASE("opening a database reconciles the audit, then starts a writer and a reader, once") {
  fixture f;
  CHECK(f.actors->context("a.db").closed());
  auto first = f.open("a.db");
  auto second = f.open("a.db");
  f.run();
  CHECK(ok(first));
  CHECK(ok(second));
  CHECK(ok(f.open("a.db")) == false);
  f.run();
  CHECK(f.file.attached.at(0) == "a.db");
  CHECK(f.writers == 1);
  CHECK(f.readers["a.db"].size() == 1);
  CHECK(f.works("a.db"));
}

TEST_CASE("a database whose audit cannot be completed is still served") {
  fixture f;
  f.file.refuses = true;
  f.file.missing["a.db"].resize(1);
  auto opened = f.open("a.db");
  f.run();
  CHECK(ok(opened));
  CHECK(f.works("a.db"));
  f.file.refuses = false;
  f.advance(2s);
  f.advance(2s);
  CHECK(f.file.records.size() == 3);
}

TEST_CASE("an audit that fails while a database is being opened does not keep the caller waiting") {
  fixture f;
  f.file.attach_throws = true;
  auto opened = f.open("a.db");
  for (auto i = 0; i < 100 && !opened->has_value(); ++i)
    f.sched().try_run_once();
  CHECK(opened->has_value());
  f.file.attach_throws = false;
  f.run();
  CHECK(f.works("a.db"));
}

TEST_CASE("the writer gets the ledger standing from the audit, and it grows with acknowledged commits") {
  fixture f;
  f.file.standings["a.db"] = {7, 5, "hash", "epoch", ""};
  f.open("a.db");
  f.run();
  auto& context = f.actors->context("a.db");
  auto known = context.known_ledger();
  CHECK((known.issued == 7 && known.agreed_seq == 5 && known.agreed_hash == "hash" && known.epoch == "epoch"));
  context.versions().start_at(9);
  CHECK(context.known_ledger().issued == 9);
}

TEST_CASE("a missing database that must exist is refused, and no state of its name remains") {
  fixture f;
  f.find = [](const std::string& db) { return make_error(errc::unknown_database, "'" + db + "' does not exist"); };
  auto refused = f.find_database("a.db");
  f.run();
  CHECK(failure_of(refused).code == errc::unknown_database);
  CHECK(f.writers == 0);
  CHECK(f.readers.empty());
  CHECK(f.prepared.empty());
  CHECK(f.file.attached.empty());
  CHECK(f.actors->contexts().empty());
  // After a write has created the file, it is found.
  auto opened = f.open("a.db");
  f.run();
  CHECK(ok(opened));
  auto found = f.find_database("a.db");
  f.run();
  CHECK(ok(found));
  CHECK(f.works("a.db"));
}

TEST_CASE("a writer that cannot be created fails the request that needed it, and the next one tries again") {
  fixture f;
  f.open("b.db");
  f.run();
  f.on_spawn = [](std::string_view kind) {
    if (kind == "writer")
      throw std::bad_alloc{};
  };
  auto refused = f.open("a.db");
  f.run();
  auto refusal = failure_of(refused);
  CHECK(refusal.code == errc::unavailable);
  CHECK(refusal.outcome == outcome::not_committed);
  CHECK(refusal.retry_after_ms > 0);
  CHECK(f.works("b.db"));
  f.on_spawn = [](std::string_view) {};
  auto opened = f.open("a.db");
  f.run();
  CHECK(ok(opened));
  CHECK(f.works("a.db"));
}

TEST_CASE("restarts that fail are retried until they succeed, and the supervisor survives") {
  fixture f;
  f.open("a.db");
  f.open("b.db");
  f.run();
  auto kind = GENERATE(as<std::string>{}, "writer", "reader", "cache", "audit", "deadline watch");
  auto refusals = 0;
  f.on_spawn = [&](std::string_view text) {
    if (text == kind && ++refusals <= 3)
      throw std::runtime_error("no thread can be made");
  };
  if (kind == "writer")
    f.kill(f.writer_of("a.db"));
  else if (kind == "reader")
    f.kill(f.readers["a.db"].back());
  else if (kind == "cache")
    f.kill(f.actors->cache());
  else if (kind == "audit")
    f.kill(f.actors->audit());
  else
    f.kill(f.actors->deadlines());
  for (auto i = 0; i < 4; ++i)
    f.advance(1s);
  CHECK(refusals == 4);
  CHECK(f.works("a.db"));
  CHECK(f.works("b.db"));
}

TEST_CASE("the audit of a database can be completed without opening it") {
  fixture f;
  f.file.missing["a.db"].resize(2);
  caf::anon_send(f.aut, attach_atom{}, std::string{"a.db"});
  f.run();
  CHECK(f.file.records.size() == 2);
  CHECK(f.writers == 0);
  CHECK(f.audits == 1);
  CHECK(f.actors->context("a.db").closed());
}

TEST_CASE("more readers come when reads wait, up to the configured number") {
  fixture f;
  f.open("a.db");
  f.run();
  for (auto i = 0; i < 5; ++i)
    caf::anon_send(f.aut, caf::spawn_atom_v, std::string{"a.db"});
  caf::anon_send(f.aut, caf::spawn_atom_v, std::string{"unknown.db"});
  f.run();
  CHECK(f.readers["a.db"].size() == 2);
  CHECK(f.readers.count("unknown.db") == 0);
}

TEST_CASE("after any actor is killed, waiting callers are answered and it is restarted") {
  fixture f;
  f.open("a.db");
  f.open("b.db");
  f.run();
  // With the pool full, a restart cannot hide behind a new reader.
  caf::anon_send(f.aut, caf::spawn_atom_v, std::string{"a.db"});
  REQUIRE(f.works("a.db"));
  auto waiting_write = f.write("a.db", "waiting");
  auto waiting_read = f.read("a.db", "waiting", "q");
  switch (GENERATE(range(0, 4))) {
  case 0: f.kill(f.writer_of("a.db")); break;
  case 1: f.kill(f.readers["a.db"].back()); break;
  case 2: f.kill(f.actors->cache()); break;
  default: f.kill(f.actors->audit());
  }
  CHECK(waiting_write->has_value());
  CHECK(waiting_read->has_value());
  CHECK(f.actors->restarts == 1);
  CHECK(f.works("a.db"));
  CHECK(f.works("b.db"));
}

TEST_CASE("rows read before an actor failed are not answered from the cache after it") {
  fixture f;
  f.open("a.db");
  f.run();
  REQUIRE(f.works("a.db"));
  auto before = f.actors->context("a.db").versions().now();
  if (GENERATE(true, false))
    f.kill(f.writer_of("a.db"));
  else
    f.kill(f.readers["a.db"].back());
  CHECK(f.actors->context("a.db").versions().now() > before);
}

TEST_CASE("a deadline holds though the actor that watches for it has failed meanwhile") {
  fixture f;
  f.open("a.db");
  f.run();
  auto request = a_write("waits", {"put t k v"});
  auto deadline = f.time.now() + 1s;
  REQUIRE(f.actors->context("a.db").route()->queue->admit(request, deadline).expire_at);
  caf::scoped_actor caller{f.sys};
  request.ticket->answer_to(caf::strong_actor_ptr{caller->ctrl()}, caf::make_message_id().response_id());
  watch_deadline(*f.actors, f.time, "a.db", deadline);
  f.kill(f.actors->deadlines());
  CHECK(f.actors->restarts == 1);
  f.advance(900ms);
  CHECK(!request.ticket->answered());
  f.advance(300ms);
  CHECK(request.ticket->answered());
}

TEST_CASE("a restarted audit looks at every open database again") {
  fixture f;
  f.open("a.db");
  f.open("b.db");
  f.run();
  f.file.attached.clear();
  f.kill(f.actors->audit());
  CHECK(f.file.attached == std::vector<std::string>{"a.db", "b.db"});
  CHECK(f.audits == 2);
  CHECK(f.actors->restarts == 1);
}

TEST_CASE("five restarts within ten seconds are the limit: one more failure quarantines that database only") {
  fixture f;
  f.open("a.db");
  f.open("b.db");
  f.run();
  auto reader_fails = GENERATE(false, true);
  for (auto i = 0; i < 5; ++i) {
    reader_fails ? f.kill(f.readers["a.db"].back()) : f.kill(f.writer_of("a.db"));
    f.advance(1s);
    REQUIRE(f.works("a.db"));
  }
  auto waiting = f.read("a.db", "waiting", "q");
  reader_fails ? f.kill(f.readers["a.db"].back()) : f.kill(f.writer_of("a.db"));
  auto route = f.actors->context("a.db").route();
  REQUIRE(!route);
  CHECK(code_of(route.error()) == errc::unavailable);
  CHECK(f.actors->context("a.db").status(f.time).quarantined);
  CHECK(f.actors->context("a.db").status(f.time).restarts == 6);
  CHECK(f.disks["a.db"].open_stores == 0);
  CHECK(waiting->has_value());
  auto refused = f.read("a.db", "refused", "q");
  f.run();
  CHECK(failure_of(refused).code == errc::unavailable);
  CHECK(!f.actors->context("b.db").status(f.time).quarantined);
  CHECK(f.works("b.db"));
  f.advance(1min);
  CHECK(!f.actors->context("a.db").route());
}

TEST_CASE("a quarantined database gets no new reader") {
  fixture f;
  f.open("a.db");
  f.run();
  for (auto i = 0; i < 6; ++i)
    f.kill(f.writer_of("a.db"));
  REQUIRE(f.actors->context("a.db").status(f.time).quarantined);
  auto count = f.readers["a.db"].size();
  caf::anon_send(f.aut, caf::spawn_atom_v, std::string{"a.db"});
  f.run();
  CHECK(f.readers["a.db"].size() == count);
}

TEST_CASE("reads that wait when the last reader's failure causes quarantine are answered") {
  fixture f;
  f.open("a.db");
  f.run();
  for (auto i = 0; i < 5; ++i)
    f.kill(f.readers["a.db"].back());
  f.view.throws = true;
  std::vector<actor_fixture::answer<read_result>> waiting;
  for (auto i = 0; i < 8; ++i)
    waiting.push_back(f.read("a.db", std::to_string(i), "q" + std::to_string(i)));
  f.run();
  CHECK(f.actors->context("a.db").status(f.time).quarantined);
  for (const auto& each : waiting) {
    REQUIRE(each->has_value());
    CHECK(!ok(each));
  }
}

TEST_CASE("rare failures never add up to a quarantine") {
  fixture f;
  f.open("a.db");
  f.run();
  for (auto i = 0; i < 30; ++i) {
    f.kill(f.writer_of("a.db"));
    f.advance(2'100ms);
  }
  CHECK(!f.actors->context("a.db").status(f.time).quarantined);
  CHECK(f.works("a.db"));
}

TEST_CASE("listeners are notified that anything may have changed when a writer fails") {
  fixture f;
  f.open("a.db");
  f.run();
  std::vector<invalidation> heard;
  auto take = [&heard](invalidation_listener::pointer) -> invalidation_listener::behavior_type {
    return {[&heard](const invalidation& x) { heard.push_back(x); }};
  };
  invalidation_listener listener = f.sys.spawn(take);
  f.actors->context("a.db").listen(listener);
  auto gone = GENERATE(false, true);
  for (auto i = 0; i < (gone ? 6 : 1); ++i)
    f.kill(f.writer_of("a.db"));
  CHECK(f.actors->context("a.db").status(f.time).quarantined == gone);
  REQUIRE(heard.size() == (gone ? 6 : 1));
  CHECK(heard[0].db == "a.db");
  CHECK(heard[0].commit_seq == 0);
  CHECK(heard[0].everything);
  f.kill(listener);
}

TEST_CASE("an idle broker has nothing scheduled") {
  fixture f;
  f.open("a.db");
  f.run();
  REQUIRE(f.works("a.db"));
  for (auto i = 0; i < 80; ++i)
    f.advance(100ms);
  CHECK(f.quiet());
}

} // namespace sluice::test::supervisor_actor_test
