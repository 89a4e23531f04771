#include "runtime/sqlite/files/vfs_file.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace sluice::sqlite {

namespace {

// SQLite's VFS for Unix takes no more than 128 KiB at once.
constexpr sqlite3_int64 chunk = 1 << 16;

std::optional<std::string> content_of(sqlite3_file* file) {
  sqlite3_int64 size = 0;
  if (!file || !file->pMethods || file->pMethods->xFileSize(file, &size) != SQLITE_OK)
    return std::nullopt;
  std::string result(static_cast<size_t>(size), '\0');
  for (sqlite3_int64 at = 0; at < size; at += chunk)
    if (file->pMethods->xRead(file, result.data() + at, static_cast<int>(std::min(chunk, size - at)), at) != SQLITE_OK)
      return std::nullopt;
  return result;
}

class vfs_file {
public:
  // Opened as a log, so that the VFS looks for no parameters in the name.
  explicit vfs_file(const std::filesystem::path& path, int flags)
    : vfs_(sqlite3_vfs_find(nullptr)), memory_(static_cast<size_t>(vfs_->szOsFile) / sizeof(std::max_align_t) + 1),
      name_(sqlite3_create_filename(path.c_str(), "", path.c_str(), 0, nullptr)),
      file_(reinterpret_cast<sqlite3_file*>(memory_.data())) {
    open_ =
      name_ && vfs_->xOpen(vfs_, sqlite3_filename_wal(name_), file_, flags | SQLITE_OPEN_WAL, nullptr) == SQLITE_OK;
  }

  ~vfs_file() {
    // SQLite's VFS interface requires this even for a file that could not be opened, if it has methods.
    if (file_->pMethods)
      file_->pMethods->xClose(file_);
    sqlite3_free_filename(name_);
  }

  vfs_file(const vfs_file&) = delete;
  vfs_file& operator=(const vfs_file&) = delete;

  sqlite3_file* get() const noexcept { return open_ ? file_ : nullptr; }

private:
  sqlite3_vfs* vfs_;
  std::vector<std::max_align_t> memory_;
  sqlite3_filename name_;
  sqlite3_file* file_;
  bool open_ = false;
};

} // namespace

std::optional<std::string> read_log(sqlite3* db) {
  sqlite3_file* log = nullptr;
  auto code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  return code == SQLITE_OK ? content_of(log) : std::nullopt;
}

std::optional<std::string> read_file(const std::filesystem::path& file) {
  return content_of(vfs_file{file, SQLITE_OPEN_READONLY}.get());
}

bool has_content(const std::filesystem::path& file) {
  auto* vfs = sqlite3_vfs_find(nullptr);
  int yes = 0;
  // SQLite's VFS for Unix treats an empty file as missing.
  return vfs->xAccess(vfs, file.c_str(), SQLITE_ACCESS_EXISTS, &yes) == SQLITE_OK && yes != 0;
}

std::optional<std::string> read_beginning(const std::filesystem::path& file, size_t size) {
  vfs_file opened{file, SQLITE_OPEN_READONLY};
  std::string result(size, '\0');
  auto* from = opened.get();
  if (!from || from->pMethods->xRead(from, result.data(), static_cast<int>(size), 0) != SQLITE_OK)
    return std::nullopt;
  return result;
}

bool write_file(const std::filesystem::path& file, const std::string& content, bool sync) {
  vfs_file opened{file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE};
  auto* to = opened.get();
  if (!to || to->pMethods->xTruncate(to, 0) != SQLITE_OK)
    return false;
  auto size = static_cast<sqlite3_int64>(content.size());
  for (sqlite3_int64 at = 0; at < size; at += chunk)
    if (to->pMethods->xWrite(to, content.data() + at, static_cast<int>(std::min(chunk, size - at)), at) != SQLITE_OK)
      return false;
  return !sync || to->pMethods->xSync(to, SQLITE_SYNC_FULL) == SQLITE_OK;
}

void remove_file(const std::filesystem::path& file) {
  auto* vfs = sqlite3_vfs_find(nullptr);
  vfs->xDelete(vfs, file.c_str(), 1);
}

} // namespace sluice::sqlite
