#include "runtime/sqlite/core/connection.hpp"

#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/files/fork_safety.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::sqlite {

namespace {

using std::chrono::milliseconds;

caf::error quoted(errc code, const std::filesystem::path& path, const char* name) {
  return make_error(code, "'" + path.filename().string() + "' " + name);
}

caf::error check_parent(const std::filesystem::path& path) {
  struct stat info {};
  if (stat(path.parent_path().c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return quoted(errc::unknown_database, path, "cannot be created: its folder does not exist");
  if (access(path.parent_path().c_str(), W_OK) != 0)
    return quoted(errc::not_authorized, path, "cannot be created: its folder may not be written");
  return {};
}

// SQLite opens folders and pipes without an error, or blocks on them, so they are checked first.
caf::error check_file(const std::filesystem::path& path, open_mode mode) {
  struct stat info {};
  auto writes = mode == open_mode::read_write_create;
  if (lstat(path.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR)
      return quoted(errno == EACCES ? errc::not_authorized : errc::io_error, path, "cannot be looked up");
    return writes ? check_parent(path) : quoted(errc::unknown_database, path, "does not exist");
  }
  if (S_ISLNK(info.st_mode))
    return quoted(errc::invalid_request, path, "is a symbolic link, which is not followed when it is opened");
  if (!S_ISREG(info.st_mode))
    return quoted(errc::unknown_database, path, "is not a database file");
  if (access(path.c_str(), R_OK) != 0)
    return quoted(errc::not_authorized, path, "may not be read");
  if (writes && access(path.c_str(), W_OK) != 0)
    return quoted(errc::read_only, path, "may not be written");
  return {};
}

// SQLite would create the file with the mode of the umask; others could then read it, and delay every write by a lock
// on -shm, which has the mode of the database. Uses no descriptor: closing one could drop the locks of other
// connections.
void create_private(const std::filesystem::path& path) noexcept {
  constexpr mode_t for_owner = 0600;
  // The umask may have removed bits.
  if (mknod(path.c_str(), S_IFREG | for_owner, 0) == 0)
    static_cast<void>(fchmodat(AT_FDCWD, path.c_str(), for_owner, 0));
}

std::string immutable_uri(const std::filesystem::path& file) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result = "file:";
  for (auto c : file.native()) {
    auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '.' || c == '-' || c == '_')
      result += c;
    else
      result += {'%', digits[byte >> 4U], digits[byte & 15U]};
  }
  return result + "?immutable=1";
}

void harden(sqlite3* db) noexcept {
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  // An untrusted schema would forbid triggers to keep a full-text index up to date (FTS5 in 3.40 is not "innocuous").
  // The authorizer checks triggers and views, and no function of this library has external effects.
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

} // namespace

void connection::closer::operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }

caf::expected<connection> connection::open(const std::filesystem::path& path, const connection_options& options) {
  make_usable_in_children();
  std::error_code failed;
  // An absolute path is never taken for a URI or for ":memory:".
  auto file = path.empty() ? path : std::filesystem::absolute(path, failed);
  if (file.empty() || failed)
    return make_error(errc::unknown_database, "a database needs a file name");
  if (auto error = check_file(file, options.mode))
    return error;
  if (options.mode == open_mode::read_write_create)
    create_private(file);
  auto writes = options.mode == open_mode::read_write_create;
  auto flags = (writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX
               | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
  sqlite3* raw = nullptr;
  auto code = options.immutable && !writes
                ? sqlite3_open_v2(immutable_uri(file).c_str(), &raw, flags | SQLITE_OPEN_URI, nullptr)
                : sqlite3_open_v2(file.c_str(), &raw, flags, nullptr);
  connection result{raw};
  if (code != SQLITE_OK)
    return to_error(raw, code);
  if (writes && sqlite3_db_readonly(raw, "main") == 1)
    return quoted(errc::read_only, file, "may not be written");
  if (auto done = result.configure(options); !done)
    return std::move(done.error());
  return result;
}

caf::expected<void> connection::configure(const connection_options& options) {
  auto* db = handle();
  harden(db);
  set_busy_timeout(options.busy_timeout);
  auto writes = options.mode == open_mode::read_write_create;
  auto kib = std::clamp<uint64_t>(options.page_cache_bytes / 1024, 64, 1U << 30);
  auto sql =
    "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cache_size = -" + std::to_string(kib)
    + (options.synchronous == synchronous_mode::full ? "; PRAGMA synchronous = FULL" : "; PRAGMA synchronous = NORMAL");
  // SQLite reports that a file is no database when the schema's version is read.
  sql += writes ? "" : "; PRAGMA query_only = ON; PRAGMA schema_version";
  if (auto done = exec(sql.c_str()); !done)
    return done;
  if (!writes) {
    // Closing must not checkpoint either.
    keep_wal_on_close();
  } else {
    if (auto done = use_wal(); !done)
      return done;
    sqlite3_wal_autocheckpoint(db, options.auto_checkpoint_pages);
  }
  return options.synchronous == synchronous_mode::full && !options.immutable ? sync_existing_wal() : caf::unit;
}

// Syncs the log without a checkpoint, which readers could prevent and must not make. The first read of the file has
// opened the log.
caf::expected<void> connection::sync_existing_wal() {
  sqlite3_file* log = nullptr;
  auto pointer_code = sqlite3_file_control(handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  if (pointer_code != SQLITE_OK || !log || !log->pMethods)
    return caf::unit;
  sqlite3_int64 size = 0;
  auto code = log->pMethods->xFileSize(log, &size);
  if (code == SQLITE_OK && size > 0)
    code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (code != SQLITE_OK)
    return make_error(errc::io_error, "cannot fsync the write-ahead log of this database");
  return caf::unit;
}

caf::expected<void> connection::use_wal() {
  auto* db = handle();
  sqlite3_stmt* stmt = nullptr;
  auto code = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &stmt, nullptr);
  if (code == SQLITE_OK)
    code = sqlite3_step(stmt);
  auto is_wal =
    code == SQLITE_ROW && sqlite3_stricmp(reinterpret_cast<const char*>(sqlite3_column_text(stmt, 0)), "wal") == 0;
  // The pragma returns the new mode, and writes it only then.
  if (code == SQLITE_ROW)
    code = sqlite3_step(stmt);
  auto error = code == SQLITE_DONE ? caf::error{} : to_error(db, code);
  sqlite3_finalize(stmt);
  if (error)
    return error;
  if (!is_wal)
    return make_error(errc::io_error, "cannot switch this database to WAL mode on its file system");
  return caf::unit;
}

caf::expected<void> connection::exec(const char* sql) {
  auto code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK)
    return to_error(handle(), code);
  return caf::unit;
}

bool connection::in_transaction() const noexcept { return handle_ && sqlite3_get_autocommit(handle()) == 0; }

bool connection::file_moved() const noexcept {
  int moved = 0;
  return sqlite3_file_control(handle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0;
}

bool connection::is_in_wal_mode() const {
  sqlite3_stmt* stmt = nullptr;
  auto is_wal = sqlite3_prepare_v2(handle(), "PRAGMA journal_mode", -1, &stmt, nullptr) == SQLITE_OK
                && sqlite3_step(stmt) == SQLITE_ROW
                && sqlite3_stricmp(reinterpret_cast<const char*>(sqlite3_column_text(stmt, 0)), "wal") == 0;
  sqlite3_finalize(stmt);
  return is_wal;
}

void connection::keep_wal_on_close() noexcept {
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void connection::limit_values(uint64_t bytes) noexcept {
  constexpr uint64_t most = 1'000'000'000;
  sqlite3_limit(handle(), SQLITE_LIMIT_LENGTH, static_cast<int>(std::min(bytes, most)));
}

caf::expected<void> exec_atomically(connection& db, const char* sql) {
  auto done = db.exec("BEGIN IMMEDIATE");
  if (done)
    done = db.exec(sql);
  if (done)
    done = db.exec("COMMIT");
  if (!done && db.in_transaction())
    static_cast<void>(db.exec("ROLLBACK"));
  return done;
}

void limit_memory(uint64_t soft_bytes, uint64_t hard_bytes) noexcept {
  sqlite3_hard_heap_limit64(static_cast<sqlite3_int64>(hard_bytes));
  sqlite3_soft_heap_limit64(static_cast<sqlite3_int64>(std::min(soft_bytes, hard_bytes)));
}

void connection::set_busy_timeout(milliseconds time) noexcept {
  sqlite3_busy_timeout(handle(), static_cast<int>(std::clamp(time, milliseconds{0}, milliseconds{500}).count()));
}

} // namespace sluice::sqlite
