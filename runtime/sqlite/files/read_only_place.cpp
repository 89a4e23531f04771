#include "runtime/sqlite/files/read_only_place.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/files/file_header.hpp"
#include "runtime/sqlite/files/journal_recovery.hpp"

#include <string>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace sluice::sqlite {

namespace {

bool has_wal_content(const std::filesystem::path& path) noexcept {
  struct stat info {};
  return stat((path.native() + "-wal").c_str(), &info) == 0 && info.st_size > 0;
}

// SQLite's result codes when it cannot make or open the files beside a database.
bool is_about_files(const caf::error& error) {
  return code_of(error) == errc::io_error || code_of(error) == errc::read_only;
}

} // namespace

bool is_read_only_place(const std::filesystem::path& path) noexcept {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) != 0)
    return true;
  return access(path.parent_path().c_str(), W_OK) != 0;
}

bool is_readable_as_immutable(const std::filesystem::path& path, const caf::error& reason) noexcept {
  return is_about_files(reason) && is_read_only_place(path) && !has_wal_content(path) && !has_rollback_journal(path)
         && journal_of(path) == journal_kind::wal;
}

caf::error unreadable_wal(const std::filesystem::path& path, caf::error reason) {
  if (!is_about_files(reason) || !is_read_only_place(path) || !has_wal_content(path))
    return reason;
  auto name = path.filename().string();
  return make_error(errc::read_only, "'" + name
                                       + "' has commits in its write-ahead log, which SQLite cannot read where "
                                         "nothing may be written: copy it together with "
                                       + name + "-wal to a folder that may be written, and read it there");
}

database_stamp::file::file(const std::string& path) noexcept {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0)
    return;
  changed_s = status.st_mtim.tv_sec;
  changed_ns = status.st_mtim.tv_nsec;
  size = status.st_size;
  inode = status.st_ino;
}

database_stamp::database_stamp(const std::filesystem::path& path)
  : main_(path.native()), log_(path.native() + "-wal") {}

} // namespace sluice::sqlite
