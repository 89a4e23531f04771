#include "runtime/sqlite/files/journal_recovery.hpp"

#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/files/vfs_file.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::sqlite {

namespace {

std::string journal_path(const std::filesystem::path& path) { return path.native() + "-journal"; }

std::string quoted_name(const std::filesystem::path& path) { return "'" + path.filename().string() + "'"; }

// Returns no error when SQLite can continue.
caf::error check_access(const std::filesystem::path& path) {
  auto journal = journal_path(path);
  auto hint = quoted_name(path) + " has a rollback journal that a killed program left, and it cannot be rolled back: ";
  if (access(journal.c_str(), R_OK | W_OK) != 0 && errno != ENOENT)
    return make_error(errc::not_authorized,
                      hint + quoted_name(journal) + " may not be read and written by this user; chown or chmod it");
  if (access(path.c_str(), W_OK) != 0 || access(path.parent_path().c_str(), W_OK) != 0)
    return make_error(errc::read_only, hint
                                         + "the database or its folder may not be written by this user; open it once "
                                           "as a user who may");
  return {};
}

} // namespace

bool has_rollback_journal(const std::filesystem::path& path) noexcept {
  try {
    auto journal = journal_path(path);
    struct stat info {};
    if (!has_content(journal) || (lstat(journal.c_str(), &info) == 0 && !S_ISREG(info.st_mode)))
      return false;
    // No lock is ever taken on a journal, so closing it drops none. journal_mode = PERSIST marks a finished journal by
    // zeroes; an unreadable one may be hot.
    auto first = read_beginning(journal, 1);
    return !first || first->front() != 0;
  } catch (const std::exception&) {
    return false;
  }
}

caf::expected<bool> recover_journal(const std::filesystem::path& path, std::chrono::milliseconds lock_timeout) {
  if (!has_rollback_journal(path))
    return false;
  if (auto error = check_access(path))
    return error;
  // Not the writer's connection, which would make it a WAL database.
  sqlite3* raw = nullptr;
  auto code = sqlite3_open_v2(
    path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOFOLLOW,
    nullptr);
  std::unique_ptr<sqlite3, decltype(&sqlite3_close_v2)> db{raw, &sqlite3_close_v2};
  if (code == SQLITE_OK) {
    sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_wal_autocheckpoint(raw, 0);
    sqlite3_busy_timeout(raw, static_cast<int>(lock_timeout.count()));
    code = sqlite3_exec(raw, "PRAGMA schema_version", nullptr, nullptr, nullptr);
  }
  if (code != SQLITE_OK)
    return to_error(raw, code);
  return !has_rollback_journal(path);
}

} // namespace sluice::sqlite
