#include "actors/audit/audit.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fake_audit_store.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::audit_actor_test {

using namespace std::chrono_literals;

namespace {

struct fixture : actor_fixture {
  fake_audit_file file;
  uint64_t opens = 0;
  bool cannot_open = false;
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
  audit_dependencies parts;
  audit_actor aut;

  fixture() {
    auto open = [this]() -> caf::expected<std::unique_ptr<audit_store>> {
      ++opens;
      if (cannot_open)
        return make_error(errc::io_error, "cannot open");
      return std::unique_ptr<audit_store>{std::make_unique<fake_audit_store>(file)};
    };
    parts = {open, actors, stats, &time};
    actors->audit_records().waker().set([this](std::chrono::milliseconds delay) {
      delay.count() > 0 ? caf::delayed_anon_send(aut, delay, caf::flush_atom_v)
                        : caf::anon_send(aut, caf::flush_atom_v);
    });
    start();
  }

  void start() {
    aut = sys.spawn(audit, parts);
    run();
  }

  ~fixture() { kill(aut); }

  void send(size_t first, size_t count = 1) {
    audit_batch batch;
    for (auto i = first; i < first + count; ++i) {
      audit_record record;
      record.request_id = std::to_string(i);
      record.ts_us = static_cast<int64_t>(i);
      batch.records.push_back(std::move(record));
    }
    push(std::move(batch));
    run();
  }

  void push(audit_batch batch) { actors->audit_records().push(std::move(batch)); }

  /// The records in the file are these, in order.
  bool holds(size_t first, size_t count) const {
    if (file.records.size() != count)
      return false;
    for (size_t i = 0; i < count; ++i)
      if (file.records[i].request_id != std::to_string(first + i))
        return false;
    return true;
  }
};

} // namespace

TEST_CASE("records are written after a short delay, in order and in one batch, and then nothing is scheduled") {
  fixture f;
  CHECK(f.quiet());
  f.send(0);
  f.send(1, 3);
  CHECK(f.file.records.empty());
  f.advance(20ms);
  CHECK(f.holds(0, 4));
  CHECK(f.file.appends == 1);
  CHECK(f.quiet());
}

TEST_CASE("many records are written at once") {
  fixture f;
  f.send(0, 1'024);
  CHECK(f.holds(0, 1'024));
  f.advance(1s);
  CHECK(f.holds(0, 1'024));
}

TEST_CASE("listing and verifying include records still in memory") {
  fixture f;
  f.send(0, 2);
  auto page = f.ask<audit_page>(f.aut, audit_query{});
  f.run();
  REQUIRE(ok(page));
  CHECK((**page)->records.size() == 2);
  f.send(2);
  auto verdict = f.ask<audit_verdict>(f.aut, verify_atom{});
  f.run();
  CHECK((**verdict)->records == 3);
}

TEST_CASE("records beyond their retention are removed with the next ones, some at a time") {
  fixture f;
  f.kill(f.aut);
  f.parts.retention = std::chrono::hours{1};
  f.file.prunes_at_once = 2;
  f.start();
  auto hour_us = std::chrono::microseconds{std::chrono::hours{1}}.count();
  auto send_at = [&](int64_t ts_us, size_t count) {
    audit_batch batch;
    batch.records.resize(count);
    for (auto& record : batch.records)
      record.ts_us = ts_us;
    f.push(std::move(batch));
    f.advance(20ms);
  };
  auto now_us = wall_us(f.time);
  send_at(now_us - 2 * hour_us, 5);
  CHECK(f.file.records.size() == 3);
  send_at(now_us, 1);
  CHECK(f.file.records.size() == 2);
  send_at(now_us, 1);
  CHECK(f.file.records.size() == 2);
  // Nothing is left to remove, so the actor does not check again with each record.
  auto prunings_before = f.file.prunings.size();
  send_at(now_us, 1);
  CHECK(f.file.prunings.size() == prunings_before);
  f.advance(std::chrono::hours{2});
  send_at(wall_us(f.time), 1);
  CHECK(f.file.prunings.size() > prunings_before);
  CHECK(f.file.records.size() == 2);
}

TEST_CASE("the status has the reason why old records cannot be removed, and new records are still written") {
  fixture f;
  f.kill(f.aut);
  f.parts.max_bytes = 1;
  f.file.prune_refuses = true;
  f.start();
  f.send(0, 2);
  f.advance(20ms);
  CHECK(f.holds(0, 2));
  CHECK(f.stats->audit.get().last_error == "old records cannot be removed: the key may be read by others");
  CHECK_FALSE(f.stats->audit.get().failing);
}

TEST_CASE("without a retention, records are removed only on request") {
  fixture f;
  f.send(0, 3);
  CHECK(f.file.prunings.empty());
  auto done = f.ask<audit_pruned>(f.aut, audit_prune{2});
  f.run();
  CHECK((**done)->records == 2);
  CHECK(f.holds(2, 1));
}

TEST_CASE("attaching a database adds the records that its ledger has and the audit lacks") {
  fixture f;
  f.file.missing["app.db"].resize(3);
  f.send(0);
  auto added = f.ask<attach_report>(f.aut, attach_atom{}, std::string{"app.db"});
  f.run();
  REQUIRE(ok(added));
  CHECK((**added)->recovered == 3);
  CHECK(f.file.records.size() == 4);
  CHECK(f.file.records[0].request_id == "0");
}

TEST_CASE("a write that was recovered from its ledger and is then reported by its writer has one record") {
  fixture f;
  auto committed = [](const std::string& id, uint64_t seq) {
    audit_record result;
    result.db = "app.db";
    result.type = request_type::write;
    result.status = "committed";
    result.request_id = id;
    result.commit_seq = seq;
    return result;
  };
  f.file.missing["app.db"] = {committed("first", 1), committed("second", 2)};
  f.ask<attach_report>(f.aut, attach_atom{}, std::string{"app.db"});
  f.run();
  REQUIRE(f.file.records.size() == 2);
  audit_batch late;
  late.records = {committed("second", 2), committed("third", 3)};
  auto elsewhere = committed("second", 2);
  elsewhere.db = "other.db";
  late.records.push_back(elsewhere);
  auto refused = committed("second", 2);
  refused.status = "refused";
  late.records.push_back(refused);
  f.push(std::move(late));
  f.run();
  f.advance(20ms);
  auto ids = [&f] {
    std::vector<std::string> all;
    for (const auto& each : f.file.records)
      all.push_back(each.db + ' ' + each.request_id + ' ' + each.status);
    return all;
  };
  CHECK(ids()
        == std::vector<std::string>{"app.db first committed", "app.db second committed", "app.db third committed",
                                    "other.db second committed", "app.db second refused"});
  // The audit merges no records that a writer sends twice, so that such a defect of the writer becomes visible.
  audit_batch again;
  again.records = {committed("second", 2)};
  f.push(std::move(again));
  f.run();
  f.advance(20ms);
  CHECK(f.file.records.size() == 6);
}

TEST_CASE("records that the file refuses are kept, and written once when it works again") {
  fixture f;
  f.file.refuses = true;
  f.send(0, 2);
  f.advance(20ms);
  f.send(2, 2'000);
  auto page = f.ask<audit_page>(f.aut, audit_query{});
  f.run();
  CHECK(failure_of(page).code == errc::disk_full);
  f.advance(1s);
  CHECK(f.file.records.empty());
  f.file.refuses = false;
  f.advance(1s);
  CHECK(f.holds(0, 2'002));
  CHECK(f.quiet());
}

TEST_CASE("after an event of a database file its ledger is read again, and each record is there once") {
  fixture f;
  auto write_of = [](const std::string& id) {
    audit_record result;
    result.db = "app.db";
    result.type = request_type::write;
    result.status = "committed";
    result.request_id = id;
    result.commit_seq = 1;
    return result;
  };
  // The first check, at the start, saw the file without its WAL.
  f.ask<attach_report>(f.aut, attach_atom{}, std::string{"app.db"});
  f.run();
  f.file.missing["app.db"] = {write_of("unknown until then"), write_of("on its way")};
  audit_batch batch;
  batch.records.resize(1);
  batch.records[0].db = "app.db";
  batch.records[0].type = request_type::file_event;
  f.push(batch);
  f.run();
  f.file.missing.clear();
  // A second event, before the record that the first one found arrives.
  f.push(batch);
  audit_batch late;
  late.records = {write_of("on its way")};
  f.push(std::move(late));
  f.run();
  f.advance(20ms);
  auto count = [&f](const std::string& id) {
    return std::count_if(f.file.records.begin(), f.file.records.end(),
                         [&](const auto& x) { return x.request_id == id; });
  };
  CHECK(count("unknown until then") == 1);
  CHECK(count("on its way") == 1);
}

TEST_CASE("a file that cannot be opened is tried again") {
  fixture f;
  f.cannot_open = true;
  f.send(0);
  auto attached = f.ask<attach_report>(f.aut, attach_atom{}, std::string{"app.db"});
  f.run();
  CHECK(failure_of(attached).code == errc::io_error);
  f.advance(2s);
  f.cannot_open = false;
  f.advance(2s);
  CHECK(f.holds(0, 1));
}

TEST_CASE("records that a failed attach has found are written later") {
  fixture f;
  f.file.missing["app.db"].resize(3);
  f.send(0);
  f.advance(20ms);
  f.file.refuses = true;
  auto attached = f.ask<attach_report>(f.aut, attach_atom{}, std::string{"app.db"});
  f.run();
  CHECK(failure_of(attached).code == errc::disk_full);
  f.file.refuses = false;
  f.advance(2s);
  CHECK(f.file.records.size() == 4);
}

TEST_CASE("records dropped while the file refused writes are counted by one record in their place") {
  fixture f;
  f.file.refuses = true;
  for (size_t i = 0; i < 5; ++i)
    f.send(i * 50'000, 50'000);
  f.file.refuses = false;
  f.advance(1s);
  uint64_t kept = 0;
  uint64_t lost = 0;
  for (const auto& record : f.file.records)
    (record.type == request_type::audit_gap ? lost : kept) += record.count;
  CHECK(lost > 0);
  CHECK(kept + lost == 250'000);
  CHECK(std::count_if(f.file.records.begin(), f.file.records.end(),
                      [](const auto& x) { return x.type == request_type::audit_gap; })
        == 1);
}

TEST_CASE("a killed audit actor writes the records that it has taken, and its successor writes those in the queue") {
  fixture f;
  f.file.refuses = true;
  f.send(0, 2);
  f.advance(20ms);
  f.file.refuses = false;
  f.send(2);
  f.kill(f.aut);
  CHECK(f.holds(0, 2));
  CHECK(f.file.open_stores == 0);
  f.start();
  CHECK(f.holds(0, 3));
  f.send(3);
  f.advance(20ms);
  CHECK(f.holds(0, 4));
}

TEST_CASE("a store that throws ends the actor, not the process") {
  fixture f;
  f.send(0, 3);
  f.file.throws = true;
  auto verdict = f.ask<audit_verdict>(f.aut, verify_atom{});
  f.run();
  CHECK(verdict->has_value());
  CHECK(!ok(verdict));
  CHECK(f.file.open_stores == 0);
}

TEST_CASE("closing writes everything, closes the file and reports whether that worked") {
  fixture f;
  auto works = GENERATE(true, false);
  f.send(0, 3);
  f.file.refuses = !works;
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  f.run();
  CHECK(ok(closed) == works);
  CHECK(f.file.records.size() == (works ? 3 : 0));
  CHECK(f.file.open_stores == 0);
  CHECK(closed->has_value());
}

TEST_CASE("the audit status shows waiting and written records, and the error if they cannot be written") {
  fixture f;
  auto stats = [&f] { return f.stats->audit.get(); };
  f.send(0, 3);
  CHECK(f.actors->audit_records().size() == 3);
  CHECK(stats().written == 0);
  f.advance(20ms);
  CHECK(stats().pending == 0);
  CHECK(stats().written == 3);
  CHECK_FALSE(stats().failing);
  f.file.refuses = true;
  f.send(3, 2);
  f.advance(20ms);
  CHECK(stats().pending == 2);
  CHECK(stats().written == 3);
  CHECK(stats().failing);
  CHECK(stats().last_error == "no space for records");
  f.file.refuses = false;
  f.advance(1s);
  CHECK(stats().written == 5);
  CHECK_FALSE(stats().failing);
}

TEST_CASE("the audit status shows records recovered from ledgers, and lost ones") {
  fixture f;
  f.file.missing["app.db"].resize(3);
  f.ask<attach_report>(f.aut, attach_atom{}, std::string{"app.db"});
  f.run();
  CHECK(f.stats->audit.get().recovered == 3);
  CHECK(f.stats->audit.get().written == 3);
  f.file.refuses = true;
  for (size_t i = 0; i < 5; ++i)
    f.send(i * 50'000, 50'000);
  auto result = f.stats->audit.get();
  CHECK(result.lost > 0);
  CHECK(result.lost + result.pending == 250'000);
}

} // namespace sluice::test::audit_actor_test
