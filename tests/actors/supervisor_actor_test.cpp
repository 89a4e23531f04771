#include "actors/audit.hpp"
#include "actors/cache.hpp"
#include "actors/reader.hpp"
#include "actors/supervisor.hpp"
#include "actors/writer.hpp"
#include "tests/support/actor_bench.hpp"
#include "tests/support/fake_audit_store.hpp"
#include "tests/support/group_bench.hpp"
#include "tests/support/read_bench.hpp"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::test;
using namespace std::chrono_literals;

namespace {

/// The whole house on fakes: a disk per database, one audit file.
struct fixture : actor_bench {
  std::map<std::string, fake_disk> disks;
  fake_audit_file file;
  fake_view view;
  uint64_t writers = 0;
  uint64_t caches = 0;
  uint64_t audits = 0;
  std::map<std::string, std::vector<reader_actor>> readers;
  std::shared_ptr<hit_table> hits = std::make_shared<hit_table>(hit_table_settings{});
  supervisor_actor aut;

  fixture() {
    supervisor_parts parts;
    parts.actors = actors;
    parts.time = &time;
    parts.readers_per_database = 2;
    parts.spawn.writer = [this](database_slot& slot, std::shared_ptr<admission> queue) {
      ++writers;
      auto x = std::make_shared<writer_parts>();
      x->store = std::make_unique<fake_write_store>(disks[slot.name()], time);
      x->slot = &slot;
      x->queue = std::move(queue);
      x->actors = actors;
      x->time = &time;
      return sys.spawn(writer, x);
    };
    parts.spawn.reader = [this](database_slot& slot) {
      auto store = std::make_shared<std::unique_ptr<read_store>>(std::make_unique<fake_read_store>(view));
      return readers[slot.name()].emplace_back(sys.spawn(reader, store));
    };
    parts.spawn.cache = [this] {
      ++caches;
      cache_parts x;
      x.hits = hits;
      x.actors = actors;
      x.time = &time;
      x.misses = std::make_shared<std::atomic<uint64_t>>(0);
      x.joined = std::make_shared<std::atomic<uint64_t>>(0);
      return sys.spawn(cache, x);
    };
    parts.spawn.audit = [this] {
      ++audits;
      auto open = [this]() -> caf::expected<std::unique_ptr<audit_store>> {
        return std::unique_ptr<audit_store>{std::make_unique<fake_audit_store>(file)};
      };
      return sys.spawn(audit, audit_store_opener{open});
    };
    aut = sys.spawn(supervisor, parts);
    actors->set(aut);
    run();
  }

  ~fixture() {
    file = {};
    for (auto& [name, disk] : disks)
      disk.checkpoint_throws = false;
    ask<caf::ok_atom>(aut, caf::close_atom_v);
    run();
    kill(aut);
    readers.clear();
    actors->clear();
    run();
  }

  answer<caf::ok_atom> open(const std::string& db) { return ask<caf::ok_atom>(aut, caf::open_atom_v, db); }
  answer<caf::ok_atom> close() { return ask<caf::ok_atom>(aut, caf::close_atom_v); }

  writer_actor writer_of(const std::string& db) { return actors->slot(db).route()->writer; }

  answer<write_result> write(const std::string& db, std::string agent, std::string sql = "put t k v") {
    auto x = a_write(std::move(agent), {std::move(sql)});
    x.db = db;
    return ask<write_result>(writer_of(db), x);
  }

  answer<read_result> read(const std::string& db, std::string id, std::string sql) {
    auto x = a_read(std::move(id), std::move(sql));
    x.db = db;
    return ask<read_result>(actors->cache(), x);
  }

  bool works(const std::string& db) {
    auto agent = "check" + std::to_string(checks_++);
    auto a = write(db, agent);
    auto b = read(db, agent, agent);
    run();
    return ok(a) && ok(b);
  }

private:
  uint64_t checks_ = 0;
};

} // namespace

TEST_CASE("opening a database reconciles the audit, then starts a writer and a reader, once") {
  fixture f;
  CHECK(f.actors->slot("a.db").closed());
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

TEST_CASE("a database whose audit cannot be completed is served all the same") {
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

TEST_CASE("the audit of a database can be completed without opening it") {
  fixture f;
  f.file.missing["a.db"].resize(2);
  caf::anon_send(f.aut, attach_atom{}, std::string{"a.db"});
  f.run();
  CHECK(f.file.records.size() == 2);
  CHECK(f.writers == 0);
  CHECK(f.audits == 1);
  CHECK(f.actors->slot("a.db").closed());
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

TEST_CASE("whichever actor is killed, those who wait are answered, it is restarted, and the work goes on") {
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
  auto route = f.actors->slot("a.db").route();
  REQUIRE(!route);
  CHECK(code_of(route.error()) == errc::unavailable);
  CHECK(f.actors->slot("a.db").status(f.time).quarantined);
  CHECK(f.actors->slot("a.db").status(f.time).restarts == 6);
  CHECK(f.disks["a.db"].open_stores == 0);
  CHECK(waiting->has_value());
  auto refused = f.read("a.db", "refused", "q");
  f.run();
  CHECK(why(refused).code == errc::unavailable);
  CHECK(!f.actors->slot("b.db").status(f.time).quarantined);
  CHECK(f.works("b.db"));
  f.advance(1min);
  CHECK(!f.actors->slot("a.db").route());
}

TEST_CASE("a quarantined database gets no new reader") {
  fixture f;
  f.open("a.db");
  f.run();
  for (auto i = 0; i < 6; ++i)
    f.kill(f.writer_of("a.db"));
  REQUIRE(f.actors->slot("a.db").status(f.time).quarantined);
  auto count = f.readers["a.db"].size();
  caf::anon_send(f.aut, caf::spawn_atom_v, std::string{"a.db"});
  f.run();
  CHECK(f.readers["a.db"].size() == count);
}

TEST_CASE("reads that wait for a reader when the last one's failure is one too many are answered") {
  fixture f;
  f.open("a.db");
  f.run();
  for (auto i = 0; i < 5; ++i)
    f.kill(f.readers["a.db"].back());
  f.view.throws = true;
  std::vector<actor_bench::answer<read_result>> waiting;
  for (auto i = 0; i < 8; ++i)
    waiting.push_back(f.read("a.db", std::to_string(i), "q" + std::to_string(i)));
  f.run();
  CHECK(f.actors->slot("a.db").status(f.time).quarantined);
  for (const auto& x : waiting) {
    REQUIRE(x->has_value());
    CHECK(!ok(x));
  }
}

TEST_CASE("failures that come seldom never add up to a quarantine") {
  fixture f;
  f.open("a.db");
  f.run();
  for (auto i = 0; i < 30; ++i) {
    f.kill(f.writer_of("a.db"));
    f.advance(2'100ms);
  }
  CHECK(!f.actors->slot("a.db").status(f.time).quarantined);
  CHECK(f.works("a.db"));
}

TEST_CASE("shutdown commits what is queued, writes the audit, closes every file, and refuses what comes later") {
  fixture f;
  f.open("a.db");
  f.open("b.db");
  f.run();
  auto a = f.write("a.db", "a");
  auto b = f.write("b.db", "b");
  auto w = f.writer_of("a.db");
  // Those who ask have sent their requests before the supervisor is told.
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
    CHECK(code_of(f.actors->slot(db).route().error()) == errc::unavailable);
  }
  CHECK(f.file.open_stores == 0);
  auto written =
    std::count_if(f.file.records.begin(), f.file.records.end(), [](const auto& x) { return x.status == "committed"; });
  CHECK(written == 2);
  auto late = f.ask<write_result>(w, a_write("late", {"put t k v"}));
  f.run();
  CHECK(why(late).outcome == outcome::not_committed);
  CHECK(f.writers == 2);
}

TEST_CASE("a database that is being opened when shutdown begins is not left open") {
  fixture f;
  auto opened = f.open("a.db");
  auto closed = f.close();
  f.run();
  CHECK(ok(closed));
  REQUIRE(opened->has_value());
  CHECK(f.disks["a.db"].open_stores == 0);
  CHECK(!f.actors->slot("a.db").route());
}

TEST_CASE("an actor that fails during shutdown does not hold it up") {
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

TEST_CASE("a house in which nobody asks for anything has nothing scheduled") {
  fixture f;
  f.open("a.db");
  f.run();
  REQUIRE(f.works("a.db"));
  for (auto i = 0; i < 80; ++i)
    f.advance(100ms);
  CHECK(f.quiet());
}
