#include "runtime/doctor/databases.hpp"
#include "runtime/doctor/disk.hpp"
#include "runtime/doctor/examination.hpp"
#include "runtime/doctor/leadership.hpp"
#include "runtime/doctor/live_broker.hpp"
#include "runtime/doctor/processes.hpp"
#include "runtime/doctor/wal_view.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

namespace sluice::test::judgement_test {

using namespace sluice::doctor;

namespace {

constexpr uint64_t mib = 1ULL << 20;
constexpr uint64_t gib = 1ULL << 30;

bool says(const finding& finding, const std::string& part) { return finding.text.find(part) != std::string::npos; }

const finding& of(const findings& all, const std::string& check) {
  for (const auto& each : all)
    if (each.check == check)
      return each;
  throw std::logic_error("no finding of " + check);
}

} // namespace

TEST_CASE("a file system without shared memory is a problem, others may be a note", "[doctor]") {
  auto how_bad = [](uint64_t magic) { return judge_file_system(magic).severity; };
  for (uint64_t magic : {0x6969U, 0x01021997U, 0x517bU})
    CHECK(how_bad(magic) == severity::problem);
  CHECK(how_bad(0xff534d42) == severity::problem);
  // As statfs has it where its member is signed.
  CHECK(how_bad(0xffffffffff534d42) == severity::problem);
  CHECK(says(judge_file_system(0x6969), "NFS"));
  CHECK(how_bad(0x65735546) == severity::warning);
  CHECK(how_bad(0x794c7630) == severity::note);
  CHECK(how_bad(0x01021994) == severity::note);
  for (uint64_t magic : {0xef53U, 0x58465342U, 0x2fc12fc1U})
    CHECK(how_bad(magic) == severity::ok);
}

TEST_CASE("room on the disk is judged by bytes, by share, by the log and by files", "[doctor]") {
  auto how_bad = [](disk_room x, uint64_t wal = 0) { return judge_room(x, wal).severity; };
  CHECK(how_bad({100 * gib, 50 * gib, 1'000'000, 500'000}) == severity::ok);
  CHECK(how_bad({100 * gib, 99 * mib, 1'000'000, 500'000}) == severity::problem);
  CHECK(how_bad({100 * gib, 1 * gib, 0, 0}) == severity::warning);
  CHECK(how_bad({10'000 * gib, 100 * gib, 0, 0}) == severity::ok);
  CHECK(how_bad({100 * gib, 50 * gib, 0, 0}, 51 * gib) == severity::problem);
  CHECK(how_bad({100 * gib, 50 * gib, 1'000'000, 99}) == severity::problem);
  CHECK(how_bad({100 * gib, 50 * gib, 1'000'000, 9'000}) == severity::warning);
  CHECK(how_bad({1 * gib, 200 * mib, 0, 0}) == severity::ok);
}

TEST_CASE("free bytes and inodes of the test's folder are reported", "[doctor]") {
  auto result = check_disk("/", 0);
  CHECK(result.size() == 2);
  CHECK(check_disk("/no/such/folder", 0)[0].severity == severity::warning);
}

TEST_CASE("processes that have a database open are judged by their access", "[doctor]") {
  doctor::open_files found;
  found.openers = {{1, "broker", "app.db", true}, {2, "reader", "app.db", false}, {3, "writer", "app.db", true}};
  auto all = judge_openers(found, 1, true);
  REQUIRE(all.size() == 2);
  CHECK(all[0].severity == severity::note);
  CHECK(says(all[0], "process 2 (reader)"));
  CHECK(all[1].severity == severity::warning);
  CHECK(says(all[1], "process 3 (writer)"));
  CHECK(says(all[1], "can lose commits"));
  CHECK_FALSE(says(judge_openers(found, 1, false)[1], "can lose commits"));
  CHECK(judge_openers({}, 0, true)[0].severity == severity::ok);
  found = {{}, 7};
  CHECK(says(of({judge_openers(found, 0, true)[1]}, "foreign_openers"), "7 processes"));
}

TEST_CASE("a WAL is judged by the process that pins it, then by its size", "[doctor]") {
  wal_view view;
  view.file_bytes = mib;
  view.frames = 250;
  CHECK(judge_wal("app.db", view, 1).severity == severity::ok);
  view.readers = {{2, 250}};
  CHECK(judge_wal("app.db", view, 1).severity == severity::ok);
  view.readers = {{2, 250}, {3, 100}, {4, 200}};
  auto pinned = judge_wal("app.db", view, 1);
  CHECK(pinned.severity == severity::note);
  CHECK(says(pinned, "process 3"));
  CHECK(says(pinned, "frame 100 of 250"));
  view.file_bytes = 100 * mib;
  CHECK(judge_wal("app.db", view, 1).severity == severity::warning);
  view.readers = {{1, 100}};
  CHECK(says(judge_wal("app.db", view, 1), "the broker itself"));
  view.readers.clear();
  CHECK(judge_wal("app.db", view, 1).severity == severity::note);
  CHECK(says(judge_wal("app.db", view, 0), "no broker"));
}

TEST_CASE("the leader, and whether clients can find it, is judged by locks, files and an answer", "[doctor]") {
  auto judge = [](leadership x) { return judge_leadership(x).at(0); };
  leadership good{10, 10, true, true, true, 10};
  CHECK(judge(good).severity == severity::ok);
  CHECK(judge({}).severity == severity::ok);
  CHECK(judge({10, 11, true, true, true, 10}).severity == severity::problem);
  CHECK(says(judge({10, 11, true, true, true, 10}), "two processes"));
  CHECK(judge({0, 10, false, true, true, 10}).severity == severity::warning);
  CHECK(judge({10, 10, true, false, false, 0}).severity == severity::note);
  CHECK(judge({10, 10, true, true, false, 10}).severity == severity::problem);
  CHECK(says(judge({0, 0, true, true, false, 10}), "left over"));
  CHECK(judge({0, 0, true, true, false, 10}).severity == severity::note);
  CHECK(judge({0, 0, false, true, true, 10}).severity == severity::warning);
  CHECK(judge({0, 10, true, true, false, 0}).severity == severity::warning);
  CHECK(says(judge({0, 10, true, true, false, 0}), "part of a store further up"));
  leadership copied{.has_socket = true, .is_copied = true};
  CHECK(is_healthy(judge_leadership(copied)));
  CHECK(says(judge_leadership(copied).at(1), "that of another folder"));
  leadership occupied{.strangers = {{7, 60'001}}};
  CHECK(judge_leadership(occupied).at(1).severity == severity::warning);
  CHECK(says(judge_leadership(occupied).at(1), "process 7 of uid 60001"));
}

TEST_CASE("journal modes are judged by whether they can be changed", "[doctor]") {
  using sqlite::journal_kind;
  CHECK(judge_journal("a", journal_kind::wal, true).severity == severity::ok);
  CHECK(judge_journal("a", journal_kind::undecided, false).severity == severity::ok);
  CHECK(judge_journal("a", journal_kind::rollback, false).severity == severity::note);
  CHECK(judge_journal("a", journal_kind::rollback, true).severity == severity::warning);
  CHECK(judge_journal("a", journal_kind::none, false).severity == severity::problem);
}

TEST_CASE("the results of an inspection become findings", "[doctor]") {
  sqlite::inspection good;
  auto all = judge_inspection("a", good);
  CHECK(is_healthy(all));
  CHECK(says(of(all, "ledger"), "no ledger yet"));
  auto result = good;
  result.damage = {"Page 3: never used"};
  CHECK(of(judge_inspection("a", result), "integrity").severity == severity::problem);
  result = good;
  result.checked = false;
  result.ledger_checked = false;
  CHECK(is_healthy(judge_inspection("a", result)));
  CHECK(says(of(judge_inspection("a", result), "ledger"), "too long"));
  result = good;
  result.ledger = audit_verdict{};
  result.ledger->records = 7;
  result.ledger->broken = 1;
  result.ledger->first_broken = 3;
  CHECK(of(judge_inspection("a", result), "ledger").severity == severity::problem);
  result = good;
  result.ledger = audit_verdict{};
  result.ledger->records = 2;
  CHECK(of(judge_inspection("a", result), "ledger").severity == severity::ok);
  result.epoch_begins = 3;
  CHECK(of(judge_inspection("a", result), "ledger").severity == severity::note);
  CHECK(says(of(judge_inspection("a", result), "ledger"), "commit 3"));
  result = good;
  result.ledger_error = failure{};
  CHECK(of(judge_inspection("a", result), "ledger").severity == severity::problem);
  CHECK(of(judge_inspection("a", make_error(errc::busy, "locked")), "integrity").severity == severity::warning);
  CHECK(of(judge_inspection("a", make_error(errc::corrupt, "malformed")), "integrity").severity == severity::problem);
  auto hot = of(judge_inspection("a", make_error(errc::read_only, "no"), true), "rollback_journal");
  CHECK(says(hot, "a-journal is a hot rollback journal"));
  CHECK(hot.severity == severity::warning);
  CHECK(of(judge_inspection("a", make_error(errc::not_authorized, "no")), "integrity").severity == severity::problem);
}

TEST_CASE("a broker is judged by its status, however incomplete that is", "[doctor]") {
  using nlohmann::json;
  for (const auto& nothing : {json::object(), json{{"databases", 5}}, json{{"databases", {1, nullptr}}}})
    CHECK(is_healthy(judge_status(nothing)));
  CHECK(judge_status(json{}).empty());
  auto of_database = [](json x) { return judge_status({{"databases", json::array({std::move(x)})}}).at(0); };
  CHECK(of_database({{"name", "a"}, {"quarantined", true}}).severity == severity::problem);
  CHECK(of_database({{"name", "a"}, {"foreign_commits", 2u}}).severity == severity::warning);
  CHECK(of_database({{"name", "a"}, {"retry", {{"failures", 2u}}}}).severity == severity::note);
  CHECK(judge_status({{"audit", {{"failing", true}, {"last_error", "full"}}}}).at(0).severity == severity::problem);
  CHECK(judge_status({{"audit", {{"lost", 3u}}}}).at(0).severity == severity::warning);
  CHECK(judge_status({{"log", {{"failing", true}}}}).at(0).severity == severity::warning);
  CHECK(judge_status({{"log", {{"dropped", 3u}}}}).at(0).severity == severity::note);
  CHECK(judge_status({{"buffer", {{"pending", 3u}, {"last_error", "locked"}}}}).at(0).severity == severity::warning);
  CHECK(is_healthy(judge_status({{"buffer", {{"pending", 0u}, {"last_error", "locked"}}}})));
  CHECK(judge_status({{"slow_warnings", 1u}}).at(0).severity == severity::note);
}

TEST_CASE("a store is healthy as long as nothing is worse than a note", "[doctor]") {
  CHECK(is_healthy({}));
  CHECK(is_healthy({{severity::note, "a", "b", "c"}, {severity::ok, "a", "b", "c"}}));
  CHECK_FALSE(is_healthy({{severity::note, "a", "b", "c"}, {severity::warning, "a", "b", "c"}}));
  auto result = as_json({{severity::problem, "a", "b", "c", "d"}});
  CHECK(result
        == nlohmann::json{
          {"healthy", false},
          {"findings", {{{"severity", "problem"}, {"check", "a"}, {"subject", "b"}, {"text", "c"}, {"advice", "d"}}}}});
}

} // namespace sluice::test::judgement_test
