#include "tests/simulation/files.hpp"

#include "runtime/sqlite/files/vfs_file.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"
#include "tests/support/audit_records.hpp"

#include <sqlite3.h>

#include <iterator>
#include <memory>
#include <stdexcept>

namespace sluice::simulation {

namespace {

struct closer {
  void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
  void operator()(sqlite3_stmt* stmt) const noexcept { sqlite3_finalize(stmt); }
};

using connection_ptr = std::unique_ptr<sqlite3, closer>;

connection_ptr open_database(const std::filesystem::path& path) {
  sqlite3* raw = nullptr;
  auto code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  connection_ptr result{raw};
  return code == SQLITE_OK ? std::move(result) : nullptr;
}

std::string cell(sqlite3_stmt* stmt, int i) {
  if (sqlite3_column_type(stmt, i) == SQLITE_NULL)
    return "-";
  return reinterpret_cast<const char*>(sqlite3_column_text(stmt, i));
}

// Formats rows as the model does.
std::optional<std::string> ask(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(db, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK)
    return std::nullopt;
  std::unique_ptr<sqlite3_stmt, closer> stmt{raw};
  std::string result;
  int code;
  while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(raw); ++i)
      result += cell(raw, i) + ',';
    result.back() = ';';
  }
  return code == SQLITE_DONE ? std::optional{std::move(result)} : std::nullopt;
}

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

void read_ledger(const std::filesystem::path& path, database_content& content) {
  auto reader = sqlite::ledger_reader::open(path);
  if (!reader) {
    content.trouble = "the ledger cannot be read: " + describe(reader.error()).message;
    return;
  }
  auto commits = reader->after(0, 1'000'000);
  auto verdict = reader->verify();
  if (!commits || !verdict) {
    content.trouble = "the ledger cannot be read: " + describe(commits ? verdict.error() : commits.error()).message;
    return;
  }
  content.epoch_follows = reader->epoch().first - 1;
  if (const auto& anchor = reader->anchor())
    content.removed_until = static_cast<uint64_t>(anchor->seq);
  content.commits = std::move(*commits);
  for (const auto& commit : content.commits)
    for (const auto& request : commit.requests)
      if (request.has_outcome)
        content.keys.push_back(request.idempotency_key);
  content.chain = std::move(*verdict);
}

void read_rows(sqlite3* db, database_content& content) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(db, "SELECT id, a, b FROM buffered", -1, &raw, nullptr) != SQLITE_OK)
    return;
  std::unique_ptr<sqlite3_stmt, closer> stmt{raw};
  while (sqlite3_step(raw) == SQLITE_ROW) {
    auto& cells = content.rows[sqlite3_column_int64(raw, 0)];
    if (sqlite3_column_type(raw, 1) != SQLITE_NULL)
      cells.a = sqlite3_column_int64(raw, 1);
    cells.b = sqlite3_column_int64(raw, 2);
  }
}

void read_keys(sqlite3* db, database_content& content) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(db, "SELECT key FROM _sluice_keys", -1, &raw, nullptr) != SQLITE_OK)
    return;
  std::unique_ptr<sqlite3_stmt, closer> stmt{raw};
  while (sqlite3_step(raw) == SQLITE_ROW)
    content.keys.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(raw, 0)));
}

} // namespace

void add_removed_commits(database_content& content, const std::string& db, const std::vector<audit_record>& audit) {
  std::map<uint64_t, sqlite::ledger_commit> removed;
  for (const auto& record : audit) {
    if (record.db != db || record.type != request_type::write || record.status != "committed"
        || record.commit_seq > content.removed_until)
      continue;
    auto& commit = removed[record.commit_seq];
    commit.seq = record.commit_seq;
    auto& request = commit.requests.emplace_back();
    request.request_id = record.request_id;
    request.agent = record.agent;
    request.idempotency_key = record.key;
  }
  std::vector<sqlite::ledger_commit> all;
  for (auto& [seq, commit] : removed)
    all.push_back(std::move(commit));
  std::move(content.commits.begin(), content.commits.end(), std::back_inserter(all));
  content.commits = std::move(all);
}

bool copy_database(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::optional<std::string> database;
  for (const auto* suffix : {"", "-wal"}) {
    if (!is_there(from.string() + suffix))
      continue;
    auto content = sqlite::read_file(from.string() + suffix);
    if (!content || !sqlite::write_file(to.string() + suffix, *content, false))
      return false;
    if (*suffix == 0)
      database = std::move(content);
  }
  // On a slow disk a checkpoint may run between the copies of the two files; then neither copy has the moved pages.
  return database && sqlite::read_file(from) == database;
}

void remove_database(const std::filesystem::path& path) {
  for (const auto* suffix : {"-wal", "-shm", ""})
    sqlite::remove_file(path.string() + suffix);
}

bool back_up(const std::filesystem::path& from, const std::filesystem::path& to) {
  auto db = is_there(from) ? open_database(from) : nullptr;
  if (!db)
    return false;
  sqlite3_wal_autocheckpoint(db.get(), 0);
  // The others are there, and leave the log to them.
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return sqlite3_exec(db.get(), ("VACUUM INTO '" + to.string() + "'").c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

bool put_in_place(const std::filesystem::path& from, const std::filesystem::path& to, bool overwrites) {
  std::error_code failed;
  auto content = sqlite::read_file(from);
  if (!content || !is_there(to))
    return false;
  if (!overwrites)
    std::filesystem::rename(from, to, failed);
  // The file is synced in either case, because the broker is not responsible for the effect of a power cut on it.
  if (failed || !sqlite::write_file(to, *content, true))
    return false;
  // Syncs the folder as well; the disk checks for removed names only on access.
  sqlite::remove_file(from);
  auto passing = to.string() + "-passing";
  sqlite::write_file(passing, "x", false);
  sqlite::remove_file(passing);
  // The placeholder of the file in the real file system changes as well.
  std::filesystem::last_write_time(to, std::filesystem::last_write_time(to) + std::chrono::seconds{1}, failed);
  return !failed;
}

std::string integrity_of(const std::filesystem::path& path) {
  if (!is_there(path))
    return "ok";
  auto db = open_database(path);
  if (!db)
    return "cannot be opened";
  auto integrity = ask(db.get(), "PRAGMA integrity_check");
  auto foreign_keys = ask(db.get(), "PRAGMA foreign_key_check");
  if (!integrity || !foreign_keys)
    return std::string{"cannot be checked: "} + sqlite3_errmsg(db.get());
  return *integrity == "ok;" && foreign_keys->empty() ? "ok" : *integrity + *foreign_keys;
}

uint64_t newest_commit(const std::filesystem::path& path) {
  // Uses a connection that leaves the WAL to the next one.
  auto found = sqlite::last_commit_seq(path);
  return found ? *found : 0;
}

caf::expected<std::vector<audit_record>> audit_records(const std::filesystem::path& path) {
  try {
    return sluice::test::audit_records_in(path);
  } catch (const std::runtime_error& error) {
    return make_error(errc::io_error, error.what());
  }
}

database_content look_into(const std::filesystem::path& path) {
  database_content result;
  result.exists = is_there(path);
  result.integrity = integrity_of(path);
  if (!result.exists)
    return result;
  auto db = open_database(path);
  if (!db) {
    result.trouble = "the file cannot be opened";
    return result;
  }
  for (uint32_t i = 0; i < questions; ++i) {
    auto asked = static_cast<question>(i);
    if (asked != question::one)
      result.answers[i] = ask(db.get(), sql_of(asked, 0).sql.str());
  }
  if (auto found = result.answers[static_cast<size_t>(question::foreign)]; found && !found->empty())
    result.foreign = std::stoll(*found);
  read_rows(db.get(), result);
  read_keys(db.get(), result);
  db.reset();
  read_ledger(path, result);
  return result;
}

bool external_process::lock() {
  release();
  if (!is_there(path_))
    return false;
  auto db = open_database(path_);
  if (!db)
    return false;
  // SQLite's default for other programs is on; only the broker switches it off.
  sqlite3_wal_autocheckpoint(db.get(), 0);
  if (sqlite3_exec(db.get(), "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) != SQLITE_OK)
    return false;
  db_ = db.release();
  return true;
}

bool external_process::commit() {
  auto done =
    db_ && sqlite3_exec(db_, "UPDATE foreigners SET n = n + 1; COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK;
  release();
  return done;
}

void external_process::release() {
  sqlite3_close_v2(db_);
  db_ = nullptr;
}

} // namespace sluice::simulation
