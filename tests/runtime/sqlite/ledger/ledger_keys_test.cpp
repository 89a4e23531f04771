#include "tests/runtime/sqlite/writer/store_rig.hpp"
#include "tests/support/fake_clock.hpp"

namespace sluice::test::ledger_keys_test {

using namespace std::chrono_literals;

namespace {

// A store whose keys age by a clock of the test's.
struct key_rig : store_rig {
  fake_clock time;

  key_rig() {
    reopen();
    write("CREATE TABLE t(a)");
  }

  void reopen() {
    store.reset();
    store = sqlite::make_write_store(file, config, time);
  }

  static write_request keyed(const std::string& key) { return request_of({{"INSERT INTO t VALUES (1)", {}}}, key); }

  void write_keyed(const std::string& key) { write(keyed(key)); }

  bool knows(const std::string& key) {
    must(store->begin());
    auto found = must(store->recall(keyed(key)));
    store->rollback();
    return found.has_value();
  }

  uint64_t prune_all() {
    uint64_t count = 0;
    while (auto some = must(store->prune_keys()))
      count += some;
    return count;
  }

  int64_t keys() {
    auto found = read_one("SELECT count(*) FROM _sluice_keys");
    return *found.integer();
  }
};

} // namespace

TEST_CASE("keys are forgotten when they are older than the retention, and no sooner") {
  key_rig rig;
  rig.write_keyed("a");
  rig.time.advance(23h);
  rig.write_keyed("b");
  CHECK(rig.prune_all() == 0);
  rig.time.advance(2h);
  CHECK(rig.prune_all() == 1);
  CHECK(!rig.knows("a"));
  CHECK(rig.knows("b"));
  auto begun = must(rig.store->begin());
  CHECK(!begun.foreign_commit);
}

TEST_CASE("a wall clock that jumps forgets no key, forwards or back") {
  key_rig rig;
  rig.write_keyed("a");
  rig.time.jump(48h);
  rig.write_keyed("b");
  CHECK(rig.prune_all() == 0);
  rig.time.jump(-96h);
  rig.write_keyed("c");
  CHECK(rig.prune_all() == 0);
  rig.reopen();
  rig.time.jump(480h);
  CHECK(rig.knows("a"));
  rig.write_keyed("d");
  CHECK(rig.prune_all() == 0);
  rig.time.advance(25h);
  CHECK(rig.prune_all() == 4);
}

TEST_CASE("keys age while no broker runs, as long as the machine does") {
  key_rig rig;
  rig.write_keyed("a");
  rig.store.reset();
  rig.time.advance(25h);
  rig.reopen();
  rig.write_keyed("b");
  CHECK(!rig.knows("a"));
  rig.store.reset();
  rig.time.advance(25h);
  rig.time.reboot();
  rig.reopen();
  CHECK(rig.knows("b"));
  rig.write_keyed("c");
  CHECK(rig.knows("b"));
}

TEST_CASE("each commit forgets more old keys than it adds") {
  key_rig rig;
  for (int i = 0; i < 100; ++i)
    rig.write_keyed("old" + std::to_string(i));
  rig.time.advance(25h);
  auto before = rig.keys();
  rig.write_keyed("new");
  CHECK(rig.keys() < before);
  for (int i = 0; i < 15; ++i)
    rig.write_keyed("new" + std::to_string(i));
  CHECK(rig.keys() == 16);
  CHECK(!rig.knows("old99"));
  CHECK(rig.knows("new"));
}

TEST_CASE("keys of an earlier version, dated by the wall clock, are kept a day from now on") {
  key_rig rig;
  rig.write_keyed("a");
  rig.write_keyed("b");
  rig.store.reset();
  {
    auto db = rig.foreigner();
    must(db.exec("DELETE FROM _sluice_meta WHERE name <> 'format'; UPDATE _sluice_keys SET created_us = 5"));
  }
  rig.reopen();
  rig.write_keyed("c");
  CHECK(rig.prune_all() == 0);
  CHECK(rig.knows("a"));
  rig.time.advance(25h);
  CHECK(rig.prune_all() == 3);
}

TEST_CASE("pruning leaves alone what another process has just changed, for the next write to look at") {
  key_rig rig;
  rig.write_keyed("a");
  rig.time.advance(25h);
  must(rig.foreigner().exec("CREATE TRIGGER g AFTER DELETE ON _sluice_keys BEGIN DELETE FROM t; END"));
  CHECK(must(rig.store->prune_keys()) == 0);
  CHECK(rig.keys() == 1);
  CHECK(failure_of(rig.store->begin()).code == errc::ledger_damaged);
}

} // namespace sluice::test::ledger_keys_test
