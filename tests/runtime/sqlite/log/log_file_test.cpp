#include "runtime/sqlite/log/log_file.hpp"

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/files/damaged_files.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <sys/stat.h>

namespace sluice::test::log_file_test {

namespace fs = std::filesystem;

namespace {

using texts = std::vector<std::string>;

log_entry entry(std::string message, int64_t ts_us = 1'000, log_level level = log_level::info, std::string source = "s",
                std::string agent = "a") {
  return {0, ts_us, level, std::move(source), std::move(agent), std::move(message)};
}

struct fixture {
  temp_dir dir;
  fs::path path = dir / "logs.db";
  std::unique_ptr<log_store> aut = sqlite::make_log_store(path);

  caf::expected<void> append(const std::vector<log_entry>& entries) { return aut->append(entries); }

  log_page page(const log_query& query = {}) {
    auto result = aut->list(query);
    if (!result)
      FAIL(describe(result.error()).message);
    return std::move(*result);
  }

  texts list(const log_query& query = {}) {
    texts result;
    for (const auto& entry : page(query).entries)
      result.push_back(entry.message);
    return result;
  }

  texts files() const {
    texts result;
    for (const auto& f : fs::directory_iterator{dir.path()})
      result.push_back(f.path().filename());
    std::sort(result.begin(), result.end());
    return result;
  }

  void run(const char* sql) {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    auto db = sqlite::connection::open(path, options);
    REQUIRE(db);
    REQUIRE(db->exec(sql));
  }

  void write(const std::string& content) const { std::ofstream{path, std::ios::binary} << content; }
};

} // namespace

TEST_CASE("a log file is created by the first entry, is private, and has no WAL when it is closed", "[log_file]") {
  fixture f;
  CHECK(f.list().empty());
  CHECK(f.aut->prune(1'000'000).value() == 0);
  CHECK(f.files().empty());
  auto old = umask(0);
  REQUIRE(f.append({entry("first")}));
  umask(old);
  for (const auto* suffix : {"", "-wal", "-shm"})
    CHECK((fs::status(f.path.string() + suffix).permissions() & fs::perms::mask) == fs::perms{0600});
  f.aut.reset();
  CHECK(f.files() == texts{"logs.db"});
}

TEST_CASE("log entries are returned unchanged, numbered from 1", "[log_file]") {
  fixture f;
  std::string odd("quote ' zero \0 \xe2\x82\xac \n", 20);
  REQUIRE(f.append({entry(odd, 1'700'000'000'000'001, log_level::critical, "part", "alice"),
                    entry("", -5, log_level::trace, "", "")}));
  REQUIRE(f.append({entry("third")}));
  auto page = f.page().entries;
  REQUIRE(page.size() == 3);
  CHECK(page[0].id == 1);
  CHECK(page[0].ts_us == 1'700'000'000'000'001);
  CHECK(page[0].level == log_level::critical);
  CHECK(page[0].source == "part");
  CHECK(page[0].agent == "alice");
  CHECK(page[0].message == odd);
  CHECK(page[1].id == 2);
  CHECK(page[1].ts_us == -5);
  CHECK(page[1].level == log_level::trace);
  CHECK(page[1].message.empty());
  CHECK(page[2].id == 3);
  f.aut = sqlite::make_log_store(f.path);
  CHECK(f.list().size() == 3);
}

TEST_CASE("every filter of a log query selects by its field", "[log_file]") {
  fixture f;
  REQUIRE(f.append({entry("one apple", 10, log_level::debug, "x", "alice"), entry("two", 20, log_level::warning, "y"),
                    entry("three Apple", 30, log_level::error, "x", "bob"), entry("50% off_", 40)}));
  auto with = [&](auto change) {
    log_query query;
    change(query);
    return f.list(query);
  };
  CHECK(with([](auto& q) { q.least = log_level::warning; }) == texts{"two", "three Apple"});
  CHECK(with([](auto& q) { q.source = "x"; }) == texts{"one apple", "three Apple"});
  CHECK(with([](auto& q) { q.agent = "bob"; }) == texts{"three Apple"});
  CHECK(with([](auto& q) { q.contains = "apple"; }) == texts{"one apple"});
  // The filter is a plain text, not a pattern.
  CHECK(with([](auto& q) { q.contains = "%"; }) == texts{"50% off_"});
  CHECK(with([](auto& q) { q.contains = "_"; }) == texts{"50% off_"});
  CHECK(with([](auto& q) { q.since_us = 30; }) == texts{"three Apple", "50% off_"});
  CHECK(with([](auto& q) { q.after_id = 3; }) == texts{"50% off_"});
  CHECK(with([](auto& q) { q.after_id = ~uint64_t{0}; }).empty());
  CHECK(with([](auto& q) { q.limit = 2; }) == texts{"three Apple", "50% off_"});
  CHECK(with([](auto& q) {
          q.limit = 2;
          q.newest = false;
        })
        == texts{"one apple", "two"});
  CHECK(with([](auto& q) {
          q.source = "x";
          q.least = log_level::error;
          q.after_id = 1;
          q.contains = "Apple";
          q.since_us = 1;
          q.agent = "bob";
        })
        == texts{"three Apple"});
  CHECK(with([](auto& q) { q.limit = ~uint64_t{0}; }).size() == 4);
}

TEST_CASE("a page of large log entries ends early, and is never empty", "[log_file]") {
  fixture f;
  REQUIRE(f.append({entry(std::string(9 << 20, 'x')), entry(std::string(5 << 20, 'y')), entry("small")}));
  log_query query;
  CHECK(f.page(query).entries.size() == 2);
  query.newest = false;
  CHECK(f.page(query).entries.size() == 1);
  query.after_id = 1;
  CHECK(f.page(query).entries.size() == 2);
}

TEST_CASE("pruning removes older entries, and ids are not reused", "[log_file]") {
  fixture f;
  REQUIRE(f.append({entry("old", 10), entry("new", 20)}));
  CHECK(f.aut->prune(20).value() == 1);
  CHECK(f.list() == texts{"new"});
  CHECK(f.aut->prune(1'000).value() == 1);
  CHECK(f.aut->prune(1'000).value() == 0);
  REQUIRE(f.append({entry("next", 30)}));
  CHECK(f.page().entries.at(0).id == 3);
}

TEST_CASE("an invalid log database is reported, and left alone", "[log_file]") {
  fixture f;
  auto kind = GENERATE(0, 1, 2, 3, 4, 5);
  if (kind == 0)
    f.write("this is a text, and long enough to be looked at as a database; no header, though");
  else if (kind == 1)
    f.run("CREATE TABLE other (x)");
  else if (kind == 2)
    f.run("PRAGMA application_id = 0x736c6c67; PRAGMA user_version = 1; CREATE TABLE log (x)");
  else if (kind == 3)
    fs::create_directory(f.path);
  else if (kind == 4)
    fs::create_symlink(f.dir / "elsewhere", f.path);
  else
    mkfifo(f.path.c_str(), 0600);
  INFO(kind);
  CHECK(code_of(f.append({entry("x")}).error()) == errc::corrupt);
  CHECK(code_of(f.aut->list({}).error()) == errc::corrupt);
  CHECK(code_of(f.aut->prune(0).error()) == errc::corrupt);
  CHECK_FALSE(fs::exists(f.dir / "elsewhere"));
  // Any such file can be renamed.
  auto kept = sqlite::move_damaged_file(f.path, 1'700'000'000'000'000);
  REQUIRE(kept);
  CHECK(*kept == "logs.db.damaged-20231114T221320Z");
  CHECK(f.append({entry("x")}));
  CHECK(f.list() == texts{"x"});
}

TEST_CASE("a log database of a later format is refused, and not touched", "[log_file]") {
  fixture f;
  REQUIRE(f.append({entry("x")}));
  f.aut = sqlite::make_log_store(f.path);
  f.run("PRAGMA user_version = 2");
  CHECK(code_of(f.append({entry("y")}).error()) == errc::protocol_mismatch);
}

TEST_CASE("an empty log file counts as a new one", "[log_file]") {
  fixture f;
  f.write("");
  CHECK(f.list().empty());
  CHECK(f.append({entry("x")}));
}

TEST_CASE("damage inside a log file is reported as such", "[log_file]") {
  fixture f;
  std::vector<log_entry> many(2'000, entry(std::string(200, 'x')));
  REQUIRE(f.append(many));
  f.aut.reset();
  {
    std::fstream file{f.path, std::ios::binary | std::ios::in | std::ios::out};
    file.seekp(4'096);
    file << std::string(static_cast<size_t>(fs::file_size(f.path)) - 4'096, '\xa5');
  }
  f.aut = sqlite::make_log_store(f.path);
  auto page = f.aut->list({});
  auto done = f.append({entry("x")});
  CHECK((!page || !done));
  CHECK((page ? errc::corrupt : code_of(page.error())) == errc::corrupt);
  CHECK((done ? errc::corrupt : code_of(done.error())) == errc::corrupt);
}

TEST_CASE("a log file that is removed is made again", "[log_file]") {
  fixture f;
  REQUIRE(f.append({entry("gone")}));
  for (const auto* suffix : {"", "-wal", "-shm"})
    fs::remove(f.path.string() + suffix);
  REQUIRE(f.append({entry("here")}));
  CHECK(f.list() == texts{"here"});
  CHECK(fs::exists(f.path));
}

TEST_CASE("a log file that cannot be written is an error each time, and works when it can be", "[log_file]") {
  fixture f;
  // Root may write everywhere, but not where SQLite wants a file and there is a folder.
  fs::create_directories(f.path.string() + "-wal");
  CHECK_FALSE(f.append({entry("x")}));
  CHECK_FALSE(f.append({entry("x")}));
  fs::remove(f.path.string() + "-wal");
  CHECK(f.append({entry("y")}));
  CHECK(f.list() == texts{"y"});
}

TEST_CASE("a log file in a folder that may not be written, or that is gone, is an error", "[log_file]") {
  fixture f;
  f.aut = sqlite::make_log_store(f.dir / "nowhere/logs.db");
  CHECK(code_of(f.append({entry("x")}).error()) == errc::unknown_database);
  if (geteuid() == 0)
    return;
  f.aut = sqlite::make_log_store(f.path);
  fs::permissions(f.dir.path(), fs::perms{0500});
  CHECK_FALSE(f.append({entry("x")}));
  CHECK_FALSE(sqlite::move_damaged_file(f.path, 0));
  fs::permissions(f.dir.path(), fs::perms{0700});
  CHECK(f.append({entry("x")}));
}

TEST_CASE("a lock of an external process on the log file is busy, and nothing of the batch is written", "[log_file]") {
  fixture f;
  REQUIRE(f.append({entry("first")}));
  {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    auto other = sqlite::connection::open(f.path, options);
    REQUIRE(other);
    REQUIRE(other->exec("BEGIN IMMEDIATE"));
    CHECK(code_of(f.append({entry("second"), entry("third")}).error()) == errc::busy);
    REQUIRE(other->exec("COMMIT"));
  }
  CHECK(f.list() == texts{"first"});
  CHECK(f.append({entry("second")}));
}

TEST_CASE("files are renamed together with their companions, to a new name each time", "[log_file]") {
  fixture f;
  auto make = [&] {
    for (const auto* suffix : {"", "-wal", "-shm"})
      std::ofstream{f.path.string() + suffix} << "x";
  };
  make();
  CHECK(sqlite::move_damaged_file(f.path, 0).value() == "logs.db.damaged-19700101T000000Z");
  CHECK(f.files()
        == texts{"logs.db.damaged-19700101T000000Z", "logs.db.damaged-19700101T000000Z-shm",
                 "logs.db.damaged-19700101T000000Z-wal"});
  make();
  CHECK(sqlite::move_damaged_file(f.path, 0).value() == "logs.db.damaged-19700101T000000Z-2");
  CHECK(f.files().size() == 6);
  CHECK_FALSE(sqlite::move_damaged_file(f.path, 0));
}

TEST_CASE("entries in the log's write-ahead log are saved when that is deleted", "[log_file]") {
  fixture f;
  REQUIRE(f.append({entry("a")}));
  REQUIRE(fs::remove(f.path.string() + "-wal"));
  REQUIRE(f.append({entry("b")}));
  f.aut = sqlite::make_log_store(f.path);
  CHECK(f.list() == texts{"a", "b"});
}

} // namespace sluice::test::log_file_test
