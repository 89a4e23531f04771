#pragma once

#include <caf/error.hpp>

#include <ctime>
#include <filesystem>
#include <string>
#include <sys/types.h>

/// Databases where this process cannot create files: on read-only media, or in a folder that it cannot write. SQLite
/// needs files beside a WAL database even to read it, unless the file is opened as immutable.
namespace sluice::sqlite {

/// Whether the file system of `path` is mounted read-only, or its folder cannot be written. The file itself may still
/// be writable: a WAL database is not written without a log beside it, and no process with these rights can create one
/// there. Other users can, and the owner of the folder can change its mode: see `database_stamp`.
bool is_read_only_place(const std::filesystem::path& path) noexcept;

/// Whether the WAL database at `path`, which could not be opened for `reason`, can be read as immutable: it lies in a
/// read-only place, and everything that was committed is in the file itself.
bool is_readable_as_immutable(const std::filesystem::path& path, const caf::error& reason) noexcept;

/// `reason`, with advice if the WAL of the database at `path` cannot be read where it is.
caf::error unreadable_wal(const std::filesystem::path& path, caf::error reason);

/// The properties of a database's file and of its log that change with a write.
class database_stamp {
public:
  explicit database_stamp(const std::filesystem::path& path);

  bool operator==(const database_stamp&) const noexcept = default;

private:
  struct file {
    explicit file(const std::string& path) noexcept;
    bool operator==(const file&) const noexcept = default;

    time_t changed_s = 0;
    long changed_ns = 0;
    off_t size = -1;
    ino_t inode = 0;
  };

  file main_;
  file log_;
};

} // namespace sluice::sqlite
