#include "tests/simulation/memory_machine.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

namespace sluice::test::power_cut_test {

namespace {

using memory_machine::machine;
using memory_machine::plain;
using sqlite::disk_effect;
using sqlite::disk_operation;

// One machine with many power cuts, and the checks of its database after each.
class power_cut_sequence {
public:
  power_cut_sequence(uint64_t seed, std::string synchronous) : at_(seed), synchronous_(std::move(synchronous)) {}

  // The error found after a cut; empty if there is none.
  std::string run(int lives) {
    for (int i = 0; i < lives; ++i) {
      schedule_cut();
      work();
      cut_during_work += at_.disk.has_power() ? 0 : 1;
      at_.disk.cut_power();
      at_.faults.heal();
      at_.disk.restart(at_.random);
      digests.push_back(at_.disk.digest());
      if (auto wrong = examine(); !wrong.empty())
        return wrong;
    }
    return {};
  }

  int lost = 0;
  int cut_during_work = 0;
  int transactions = 0;
  std::vector<uint64_t> digests;

private:
  void schedule_cut() {
    constexpr std::array kinds{disk_operation::open,     disk_operation::read,   disk_operation::write,
                               disk_operation::sync,     disk_operation::write,  disk_operation::sync,
                               disk_operation::truncate, disk_operation::remove, disk_operation::lock};
    constexpr std::array files{"", "", "app.db", "app.db-wal", "app.db-journal"};
    sqlite::disk_fault cut;
    cut.file = files[at_.random() % files.size()];
    cut.on = kinds[at_.random() % kinds.size()];
    cut.effect = at_.random() % 2 == 0 ? disk_effect::kill_before : disk_effect::kill_after;
    auto rare =
      cut.on == disk_operation::open || cut.on == disk_operation::remove || cut.on == disk_operation::truncate;
    cut.skip = at_.random() % (rare ? 8 : at_.random() % 2 == 0 ? 12 : 120);
    at_.faults.inject(cut);
  }

  // Opens, writes and closes until the power is cut, at most so many times.
  void work() {
    for (auto sessions = 1 + at_.random() % 3; sessions > 0 && at_.disk.has_power(); --sessions) {
      plain db{at_.file()};
      if (!db.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = " + synchronous_ + "; PRAGMA wal_autocheckpoint = "
                  + std::to_string(at_.random() % 2 == 0 ? 0 : 4 + at_.random() % 16))
          || !db.run("CREATE TABLE IF NOT EXISTS log (t INTEGER NOT NULL, i INTEGER NOT NULL, pad BLOB)"))
        return;
      plain reader{at_.file()};
      for (auto n = at_.random() % 20; n > 0 && at_.disk.has_power(); --n)
        step(db, reader);
    }
  }

  void step(plain& db, plain& reader) {
    switch (at_.random() % 8) {
    // A snapshot that stays open keeps the WAL from restarting.
    case 0: reader.run("BEGIN; SELECT count(*) FROM log"); break;
    case 1: reader.run("ROLLBACK"); break;
    case 2: db.run("PRAGMA wal_checkpoint(PASSIVE)"); break;
    case 3: db.run("PRAGMA wal_checkpoint(TRUNCATE)"); break;
    default: transaction(db);
    }
  }

  // The number of a transaction determines its rows, so the rows show which transactions are there.
  static int rows_of(int t) { return 1 + t * 7 % 5; }

  void transaction(plain& db) {
    auto t = acknowledged_ + 1;
    attempted_ = t;
    auto done = db.run("BEGIN IMMEDIATE");
    for (int i = 0; done && i < rows_of(t); ++i)
      done = db.run("INSERT INTO log VALUES (" + std::to_string(t) + ", " + std::to_string(i) + ", zeroblob("
                    + std::to_string(t * i % 7 * 900) + "))");
    // Touches pages all over the file.
    done = done && db.run("UPDATE log SET pad = zeroblob(length(pad) + 1) WHERE t % 5 = " + std::to_string(t % 5));
    if (done && db.run("COMMIT")) {
      acknowledged_ = t;
      ++transactions;
    } else {
      db.run("ROLLBACK");
    }
  }

  std::string examine() {
    plain db{at_.file()};
    auto sound = db.text("PRAGMA integrity_check");
    if (sound != "ok")
      return "integrity_check: " + sound.value_or("error " + std::to_string(db.code()));
    if (db.number("SELECT count(*) FROM sqlite_schema WHERE name = 'log'") == 0)
      return check_last(0);
    auto last = db.number("SELECT coalesce(max(t), 0) FROM log").value_or(-1);
    auto whole =
      db.number("SELECT count(*) FROM (SELECT t, count(*) AS n FROM log GROUP BY t) WHERE n = 1 + t * 7 % 5");
    if (whole != last)
      return "of " + std::to_string(last) + " transactions, not all are there as a whole";
    return check_last(last);
  }

  std::string check_last(int last) {
    if (last > attempted_)
      return "transaction " + std::to_string(last) + " is there, which never was";
    lost += std::max(0, acknowledged_ - last);
    if (last < acknowledged_ && synchronous_ == "FULL")
      return "transaction " + std::to_string(acknowledged_) + " was acknowledged; the last one there is "
             + std::to_string(last);
    acknowledged_ = attempted_ = last;
    return {};
  }

  machine at_;
  std::string synchronous_;
  int acknowledged_ = 0;
  int attempted_ = 0;
};

} // namespace

TEST_CASE("with synchronous = FULL, a power cut at any operation loses no acknowledged write") {
  int cuts = 0;
  int transactions = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    power_cut_sequence one{seed, "FULL"};
    REQUIRE(one.run(12) == "");
    cuts += one.cut_during_work;
    transactions += one.transactions;
  }
  CHECK(cuts > 150);
  CHECK(transactions > 700);
}

TEST_CASE("with synchronous = NORMAL, a power cut may lose the last transactions, and never a part of one") {
  int lost = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    power_cut_sequence one{seed, "NORMAL"};
    REQUIRE(one.run(12) == "");
    lost += one.lost;
  }
  CHECK(lost > 0);
}

TEST_CASE("with synchronous = OFF, power cuts break databases") {
  int broken = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed)
    broken += power_cut_sequence{seed, "OFF"}.run(12).empty() ? 0 : 1;
  CHECK(broken >= 5);
}

TEST_CASE("the same seed leaves the same bytes in any folder; another seed leaves others") {
  std::set<std::vector<uint64_t>> seen;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    auto digests = [&] {
      power_cut_sequence one{seed, "FULL"};
      REQUIRE(one.run(6) == "");
      return one.digests;
    };
    auto first = digests();
    CHECK(first == digests());
    seen.insert(first);
  }
  CHECK(seen.size() == 5);
}

} // namespace sluice::test::power_cut_test
