#include "tests/support/broker_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::shutdown_test {

using fixture = broker_fixture;

TEST_CASE("shutdown commits queued requests, writes the audit, closes every file, and refuses later requests") {
  fixture f;
  f.open("a.db");
  f.open("b.db");
  f.run();
  auto a = f.write("a.db", "a");
  auto b = f.write("b.db", "b");
  auto w = f.writer_of("a.db");
  // The callers have sent their requests before the supervisor is asked to shut down.
  f.sched().try_run_once();
  f.sched().try_run_once();
  auto closed = f.close();
  f.run();
  CHECK(ok(a));
  CHECK(ok(b));
  CHECK(ok(closed));
  for (auto* db : {"a.db", "b.db"}) {
    CHECK(f.disks[db].durable.applied.size() == 1);
    CHECK(f.disks[db].checkpoints.back() == checkpoint_mode::truncate);
    CHECK(f.disks[db].open_stores == 0);
    CHECK(code_of(f.actors->context(db).route().error()) == errc::unavailable);
  }
  CHECK(f.file.open_stores == 0);
  auto written =
    std::count_if(f.file.records.begin(), f.file.records.end(), [](const auto& x) { return x.status == "committed"; });
  CHECK(written == 2);
  auto late = f.ask<write_result>(w, a_write("late", {"put t k v"}));
  f.run();
  CHECK(failure_of(late).outcome == outcome::not_committed);
  CHECK(f.writers == 2);
}

TEST_CASE("shutdown looks for an external commit before it closes a database") {
  fixture f;
  f.open("a.db");
  f.run();
  f.write("a.db", "a");
  f.run();
  f.disks["a.db"].external_commit = true;
  auto closed = f.close();
  f.run();
  CHECK(ok(closed));
  CHECK(f.actors->context("a.db").counters().foreign_commits == 1);
  CHECK(f.file.records.back().type == request_type::foreign_commit);
}

TEST_CASE("shutdown closes readers first, then writers, and the audit last") {
  fixture f;
  f.open("a.db");
  f.run();
  caf::anon_send(f.aut, caf::spawn_atom_v, std::string{"a.db"});
  f.run();
  REQUIRE(f.works("a.db"));
  auto in_quarantine = GENERATE(false, true);
  if (in_quarantine) {
    f.open("b.db");
    f.run();
    for (auto i = 0; i < 6; ++i)
      f.kill(f.readers["b.db"].back());
    REQUIRE(f.actors->context("b.db").status(f.time).quarantined);
  }
  REQUIRE(f.view.open_stores == 2);
  std::vector<uint64_t> readers_then;
  std::vector<uint64_t> audits_then;
  f.disks["a.db"].on_close = [&] {
    readers_then.push_back(f.view.open_stores);
    audits_then.push_back(f.file.open_stores);
  };
  auto closed = f.close();
  // The actor that was asked last runs first: the order of the messages does not decide the order of closing.
  auto& jobs = f.sched().jobs;
  while (!jobs.empty()) {
    std::rotate(jobs.begin(), jobs.end() - 1, jobs.end());
    f.sched().try_run_once();
  }
  CHECK(ok(closed));
  CHECK(readers_then == std::vector<uint64_t>{0});
  CHECK(audits_then == std::vector<uint64_t>{1});
  CHECK(f.file.open_stores == 0);
}

TEST_CASE("all callers of shutdown are answered, once all is closed") {
  fixture f;
  f.open("a.db");
  f.run();
  REQUIRE(f.works("a.db"));
  auto first = f.close();
  auto second = f.close();
  while (!first->has_value() && !second->has_value() && f.sched().try_run_once())
    ;
  CHECK(f.file.open_stores == 0);
  f.run();
  CHECK(ok(first));
  CHECK(ok(second));
  auto late = f.close();
  f.run();
  CHECK(late->has_value());
}

TEST_CASE("a database that is being opened when shutdown begins is not left open") {
  fixture f;
  auto opened = f.open("a.db");
  auto closed = f.close();
  f.run();
  CHECK(ok(closed));
  REQUIRE(opened->has_value());
  CHECK(f.disks["a.db"].open_stores == 0);
  CHECK(!f.actors->context("a.db").route());
}

TEST_CASE("an actor that fails during shutdown does not delay it") {
  fixture f;
  f.open("a.db");
  f.run();
  REQUIRE(f.works("a.db"));
  switch (GENERATE(range(0, 3))) {
  case 0: f.disks["a.db"].checkpoint_throws = true; break;
  case 1: f.file.throws = true; break;
  default: caf::anon_send_exit(f.writer_of("a.db"), caf::exit_reason::kill);
  }
  auto closed = f.close();
  f.run();
  CHECK(closed->has_value());
  CHECK(f.disks["a.db"].open_stores == 0);
  CHECK(f.file.open_stores == 0);
}

} // namespace sluice::test::shutdown_test
