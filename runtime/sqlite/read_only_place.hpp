#pragma once

#include <caf/error.hpp>

#include <ctime>
#include <filesystem>
#include <sys/types.h>

/// Databases that lie where this process may write nothing: on read-only media, or in a folder of another user. SQLite
/// needs files beside a WAL database even to read it, unless it is told that nobody changes the file.
namespace sluice::sqlite {

/// Whether the file system of `path` is mounted read-only, or neither the file nor its folder may be written.
bool is_read_only_place(const std::filesystem::path& path) noexcept;

/// Whether the WAL database at `path`, which could not be opened for `why`, can be read as one that nobody changes: it
/// lies in a read-only place, and everything that was committed is in the file itself.
bool is_readable_as_immutable(const std::filesystem::path& path, const caf::error& why) noexcept;

/// `why`, with the advice that belongs to it when the WAL of the database at `path` cannot be read where it lies.
caf::error unreadable_wal(const std::filesystem::path& path, caf::error why);

/// What changes of a file when somebody writes it.
class file_stamp {
public:
  explicit file_stamp(const std::filesystem::path& path) noexcept;

  bool operator==(const file_stamp& x) const noexcept;

private:
  timespec changed_{};
  off_t size_ = -1;
  ino_t inode_ = 0;
};

} // namespace sluice::sqlite
