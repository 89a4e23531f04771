#pragma once

#include "runtime/sqlite/files/file_guard.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <sqlite3.h>

namespace sluice::test {

namespace fs = std::filesystem;

/// Writes rows for many pages, a checkpoint, and as many again that are only in the WAL.
constexpr const char* fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
                             "INSERT INTO t(body) SELECT printf('%060d', i * 7919 % 100003) FROM n";

/// A connection of plain SQLite, without code of sluice.
class other_program {
public:
  explicit other_program(const fs::path& file) { REQUIRE(sqlite3_open(file.c_str(), &db_) == SQLITE_OK); }
  other_program(const other_program&) = delete;
  other_program& operator=(const other_program&) = delete;
  ~other_program() { sqlite3_close(db_); }

  void run(const std::string& sql) {
    INFO(sqlite3_errmsg(db_));
    CHECK(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  }

  std::string one(const char* sql) {
    sqlite3_stmt* stmt = nullptr;
    std::string result = "error";
    if (sqlite3_prepare_v2(db_, sql, -1, &stmt, nullptr) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
      result = reinterpret_cast<const char*>(sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return result;
  }

private:
  sqlite3* db_ = nullptr;
};

/// In a quiet folder, and in one that never counts as quiet: the files are looked up in other ways there.
struct busy_fixture : store_fixture {
  busy_fixture() : busy_fixture(GENERATE(milliseconds{20}, milliseconds{60'000})) {}

  explicit busy_fixture(milliseconds quiet_time) : store_fixture({}, quiet_time) {
    write("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)");
    write(fill);
    must(store->checkpoint(checkpoint_mode::truncate));
    write(fill);
    REQUIRE(count() == value{4'000});
    if (quiet_time < milliseconds{1'000})
      wait_for_quiet();
  }

  /// Waits for a fixed time on file systems whose folder times are not used.
  void wait_for_quiet() {
    auto give_up = std::chrono::steady_clock::now() + milliseconds{300};
    while (!files->relies_on_folder() && std::chrono::steady_clock::now() < give_up)
      count();
  }

  value count() { return read_one("SELECT count(*) FROM t"); }
  fs::path log() const { return file.string() + "-wal"; }
  fs::path index() const { return file.string() + "-shm"; }

  /// Creates a database with one row in `t`, and without a WAL.
  fs::path another() {
    auto path = folder / "another.db";
    other_program{path}.run("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t(body) VALUES ('new')");
    return path;
  }

  std::vector<std::string> events() {
    std::vector<std::string> result;
    for (const auto& event : store->take_file_events())
      result.emplace_back(event.status);
    return result;
  }

  /// The state after a kill of the process.
  std::string count_after_a_kill() {
    auto copy = folder / "copy.db";
    for (const auto* suffix : {"", "-wal"})
      if (fs::exists(file.string() + suffix))
        fs::copy_file(file.string() + suffix, copy.string() + suffix);
    other_program db{copy};
    CHECK(db.one("PRAGMA integrity_check(1)") == "ok");
    return db.one("SELECT count(*) FROM t");
  }
};

/// A database that several brokers use, one after the other.
struct lives {
  temp_dir folder;
  fs::path file = folder / "app.db";
  fs::path kept = folder / "kept";
  std::shared_ptr<file_registry> registry = std::make_shared<file_registry>(folder / "files.json");

  std::shared_ptr<sqlite::file_guard> guard() {
    sqlite::file_guard::settings settings;
    settings.path = file;
    settings.name = "app.db";
    settings.kept_logs = kept;
    settings.registry = std::make_shared<file_registry>(folder / "files.json");
    return std::make_shared<sqlite::file_guard>(std::move(settings));
  }

  void write(write_store& store, const char* sql) {
    auto begun = must(store.begin());
    must(store.execute(request_of(sql), no_deadline));
    must(commit_of(store, begun, request_of("SELECT 1")));
  }

  std::unique_ptr<write_store> store() { return sqlite::make_write_store(file, {}, machine_time(), {}, guard()); }
};

} // namespace sluice::test
