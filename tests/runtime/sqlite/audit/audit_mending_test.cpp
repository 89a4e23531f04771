#include "runtime/sqlite/audit/audit_mending.hpp"

#include "runtime/sqlite/files/damaged_files.hpp"
#include "runtime/sqlite/writer/write_store.hpp"
#include "tests/runtime/sqlite/audit/audit_fixture.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

#include <fstream>

namespace sluice::test::audit_mending_test {

using sqlite::test::record;

namespace {

store_root with_folder(store_root root) {
  must(root.make_folder());
  return root;
}

// A store with a database of three commits, and its audit.
struct mending_fixture {
  temp_dir dir;
  store_root root = with_folder(must(store_root::open(dir.path())));
  broker_config config;
  fake_clock time;
  std::vector<std::string> reports;
  std::unique_ptr<audit_store> store = open();

  mending_fixture() {
    auto writes = sqlite::make_write_store(root.path_of("app.db"), config);
    for (const auto* sql : {"CREATE TABLE t(a)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"}) {
      auto begun = must(writes->begin());
      auto request = request_of(sql);
      must(writes->execute(request, no_deadline));
      must(commit_of(*writes, begun, request));
    }
    append(must(store->compare("app.db")).missing);
  }

  std::unique_ptr<audit_store> open() {
    auto registry = std::make_shared<file_registry>(root.folder() / "files.json");
    auto report = [this](const std::string& text) { reports.push_back(text); };
    return must(sqlite::open_mended_audit_store(root, config, time, registry, report));
  }

  void append(std::vector<audit_record> records) { must(store->append(records)); }

  void append_many(const std::string& agent, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i)
      append({record(agent, 0, std::string(200, 'x'))});
  }

  uint64_t count(const std::string& agent) {
    audit_query query;
    query.agent = agent;
    query.limit = 10'000;
    return must(store->list(query)).records.size();
  }

  std::vector<audit_record> all() {
    audit_query query;
    query.limit = 10'000;
    return must(store->list(query)).records;
  }

  uint64_t recovered() {
    auto records = all();
    return static_cast<uint64_t>(
      std::count_if(records.begin(), records.end(), [](const auto& x) { return x.recovered && x.commit_seq > 0; }));
  }

  // Overwrites the file from a share of its length on.
  void tear(double from, size_t bytes) {
    std::fstream file{root.audit_path(), std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(0, std::ios::end);
    auto size = static_cast<double>(file.tellp());
    file.seekp(static_cast<std::streamoff>(size * from) / 4'096 * 4'096);
    file << std::string(bytes, '\x5a');
  }
};

} // namespace

TEST_CASE("an audit file with a damaged head is renamed, and the new one completed from the ledgers") {
  mending_fixture r;
  r.store.reset();
  r.tear(0, 8'192);
  r.store = r.open();
  REQUIRE(r.reports.size() == 1);
  auto kept = sqlite::find_damaged_files(r.root.audit_path());
  REQUIRE(kept.size() == 1);
  CHECK(r.reports[0].find(kept[0]) != std::string::npos);
  r.append(must(r.store->compare("app.db")).missing);
  auto records = r.all();
  REQUIRE(records.size() == 4);
  CHECK(records[0].type == request_type::audit_gap);
  CHECK(records[0].key == kept[0]);
  CHECK(r.recovered() == 3);
  r.append({record("after")});
  auto verdict = must(r.store->verify());
  CHECK((verdict.broken == 0 && !verdict.intact()));
  REQUIRE(verdict.problems.size() == 1);
  CHECK(verdict.problems[0].find(kept[0]) != std::string::npos);
  must(sqlite::acknowledge_damaged_file(r.root.folder() / kept[0]));
  CHECK(must(r.store->verify()).intact());
}

TEST_CASE(
  "an audit whose known end was removed by the store itself is continued, unless the anchor cannot be trusted") {
  mending_fixture r;
  r.append_many("old", 4);
  r.store.reset();
  r.store = r.open();
  must(r.store->prune({std::numeric_limits<int64_t>::max(), 0}, 1));
  r.store.reset();
  // As if the broker had ended before it noted the new end.
  file_registry{r.root.folder() / "files.json"}.note_audit_end({3, "the hash of a record that is gone"},
                                                               r.time.boot_id());
  auto before = r.reports.size();
  SECTION("continued") {
    r.store = r.open();
    CHECK(r.reports.size() == before);
    CHECK(must(r.store->verify()).pruned == 6);
  }
  SECTION("not trusted") {
    auto path = r.root.audit_path();
    std::filesystem::remove(path.replace_extension(".key"));
    r.store = r.open();
    REQUIRE(r.reports.size() == before + 1);
    CHECK(r.reports.back().find("its record 3 is not the one that the broker wrote") != std::string::npos);
  }
}

TEST_CASE("a torn page is found when it is read, reported by verify and skipped by list") {
  mending_fixture r;
  r.append_many("before", 200);
  r.store.reset();
  r.tear(0.5, 4'096);
  r.store = r.open();
  CHECK(r.reports.empty());
  r.append({record("after")});
  CHECK(r.count("after") == 1);
  auto before = r.count("before");
  CHECK((before > 50 && before < 200));
  audit_query newest;
  newest.limit = 2;
  newest.newest = true;
  newest.agent = "before";
  CHECK(must(r.store->list(newest)).records.size() == 2);
  auto verdict = must(r.store->verify());
  CHECK(verdict.broken > 0);
  CHECK(verdict.first_broken > 0);
  // For a database that the audit does not know yet, all records are searched.
  must(r.store->compare("other.db"));
  CHECK(r.reports.size() == 1);
  r.append({record("later")});
  CHECK(r.count("later") == 1);
  CHECK(r.recovered() == 3);
}

TEST_CASE("an audit file that is not a database or has empty pages is replaced") {
  mending_fixture r;
  r.store.reset();
  std::ofstream{r.root.audit_path(), std::ios::trunc} << GENERATE(std::string(20'000, '\0'), std::string(5'000, 'x'));
  r.store = r.open();
  CHECK(r.reports.size() == 1);
  r.append({record("after")});
  CHECK(r.count("after") == 1);
}

TEST_CASE("an audit file that is deleted or moved while it is open is made again and completed from the ledgers") {
  mending_fixture r;
  SECTION("deleted") {
    for (const auto* suffix : {"", "-wal", "-shm"})
      std::filesystem::remove(r.root.audit_path().string() + suffix);
  }
  SECTION("deleted without its log") { std::filesystem::remove(r.root.audit_path()); }
  SECTION("moved") { std::filesystem::rename(r.root.audit_path(), r.dir / "elsewhere.db"); }
  r.append({record("after")});
  CHECK(r.reports.size() == 1);
  CHECK(r.count("after") == 1);
  CHECK(r.recovered() == 3);
  CHECK(must(r.store->verify()).broken == 0);
}

TEST_CASE("the content of the audit's write-ahead log is saved when the log is deleted") {
  mending_fixture r;
  r.append({record("in the log")});
  std::filesystem::remove(r.root.audit_path().string() + "-wal");
  r.append({record("after")});
  CHECK(r.count("in the log") == 1);
  CHECK(r.count("after") == 1);
  r.store.reset();
  r.store = r.open();
  CHECK(r.count("in the log") == 1);
  CHECK(must(r.store->verify()).intact());
}

TEST_CASE("an audit file that was emptied, deleted, cut short or exchanged between two brokers is replaced") {
  mending_fixture r;
  r.append_many("read", 20);
  auto older = r.dir / "older.db";
  r.store.reset();
  std::filesystem::copy(r.root.audit_path(), older);
  r.store = r.open();
  r.append_many("read", 20);
  r.store.reset();
  auto change = [&](const char* sql) {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    must(must(sqlite::connection::open(r.root.audit_path(), options)).exec(sql));
  };
  SECTION("emptied") { std::filesystem::resize_file(r.root.audit_path(), 0); }
  SECTION("deleted") { std::filesystem::remove(r.root.audit_path()); }
  SECTION("an older copy") { std::filesystem::rename(older, r.root.audit_path()); }
  SECTION("cut short") { change("DROP TRIGGER segments_delete; DELETE FROM segments WHERE last_seq > 30"); }
  SECTION("another end") {
    change("DROP TRIGGER segments_update; UPDATE segments SET hash = x'00' WHERE last_seq = 43");
  }
  SECTION("without its tables") { change("DROP TABLE segments; DROP TABLE stores; DROP TABLE databases"); }
  CHECK(r.reports.empty());
  r.store = r.open();
  REQUIRE(r.reports.size() == 1);
  auto kept = sqlite::find_damaged_files(r.root.audit_path());
  REQUIRE(kept.size() == 1);
  CHECK(r.all().at(0).type == request_type::audit_gap);
  CHECK(r.all().at(0).key == kept[0]);
  CHECK_FALSE(must(r.store->verify()).intact());
  must(sqlite::acknowledge_damaged_file(r.root.folder() / kept[0]));
  r.append({record("after")});
  r.store.reset();
  r.store = r.open();
  CHECK(r.reports.size() == 1);
  CHECK(must(r.store->verify()).intact());
}

TEST_CASE("an audit that another program changes while it is open is replaced, with the commits of the ledgers") {
  mending_fixture r;
  r.append_many("read", 20);
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  auto other = must(sqlite::connection::open(r.root.audit_path(), options));
  must(other.exec(GENERATE("DROP TABLE segments; DROP TABLE stores; DROP TABLE databases",
                           "DROP TRIGGER segments_delete; DELETE FROM segments WHERE last_seq > 5",
                           "DROP TRIGGER segments_delete; DELETE FROM segments")));
  SECTION("noticed by the next record") { r.append({record("after")}); }
  SECTION("noticed by verify") { CHECK_FALSE(must(r.store->verify()).intact()); }
  SECTION("noticed by list") { CHECK(r.all().at(0).type == request_type::audit_gap); }
  SECTION("noticed by the next broker") {
    r.store.reset();
    r.store = r.open();
    // Opens the audit as the broker does at its start.
    r.append(must(r.store->compare("app.db")).missing);
  }
  CHECK(r.reports.size() == 1);
  CHECK(sqlite::find_damaged_files(r.root.audit_path()).size() == 1);
  CHECK(r.recovered() == 3);
}

TEST_CASE("a power cut that takes the last records of the audit is not taken for a change by another program") {
  mending_fixture r;
  r.store.reset();
  r.store = r.open();
  auto before = r.dir / "before";
  std::filesystem::copy(r.root.audit_path(), before);
  r.append_many("read", 1'020);
  auto known = r.root.folder() / "files.json";
  std::filesystem::copy(known, r.dir / "files.json");
  r.store.reset();
  std::filesystem::rename(before, r.root.audit_path());
  std::filesystem::rename(r.dir / "files.json", known);
  r.time.reboot();
  r.store = r.open();
  CHECK(r.reports.empty());
  CHECK(must(r.store->verify()).intact());
}

TEST_CASE("a first record that was written before a kill is missed when the audit is deleted") {
  mending_fixture r;
  // The fixture has written records; a kill would leave the files as they are now.
  auto state = r.dir / "state";
  std::filesystem::copy(r.root.folder(), state);
  r.store.reset();
  std::filesystem::remove_all(r.root.folder());
  std::filesystem::rename(state, r.root.folder());
  for (const auto* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(r.root.audit_path().string() + suffix);
  r.store = r.open();
  CHECK(r.reports.size() == 1);
}

TEST_CASE("an audit without records is missed when a database that was used here has commits") {
  mending_fixture r;
  r.store.reset();
  std::filesystem::remove(r.root.audit_path());
  std::filesystem::remove(r.root.folder() / "files.json");
  r.store = r.open();
  CHECK(r.reports.empty());
  r.store.reset();
  std::filesystem::remove(r.root.audit_path());
  std::filesystem::remove(r.root.folder() / "files.json");
  file_record used;
  used.database = *identity_of(r.root.path_of("app.db"));
  file_registry{r.root.folder() / "files.json"}.put("app.db", used);
  r.store = r.open();
  CHECK(r.reports.size() == 1);
  CHECK(r.recovered() == 3);
}

TEST_CASE("verify names the ledgers that contradict the audit") {
  mending_fixture r;
  const auto* sql = GENERATE("DELETE FROM _sluice_commits WHERE commit_seq > 1", "DELETE FROM _sluice_commits",
                             "DELETE FROM _sluice_commits WHERE commit_seq = 2",
                             "DROP TABLE _sluice_commits; DROP TABLE _sluice_keys; DROP TABLE _sluice_meta",
                             "CREATE TRIGGER evil AFTER INSERT ON _SLUICE_KEYS BEGIN SELECT 1; END");
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  must(must(sqlite::connection::open(r.root.path_of("app.db"), options)).exec(sql));
  auto verdict = must(r.store->verify());
  CHECK((verdict.broken == 0 && !verdict.intact()));
  REQUIRE(verdict.problems.size() == 1);
  CHECK(verdict.problems[0].find("app.db") != std::string::npos);
}

} // namespace sluice::test::audit_mending_test
