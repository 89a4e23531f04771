#pragma once

#include "runtime/os/file_identity.hpp"

#include <filesystem>
#include <optional>
#include <utility>

namespace sluice::sqlite {

/// Remembers which files a path and its `-wal` led to while the database there is open, to detect that they were moved
/// or deleted: later writes to such files are lost with their last descriptor. Opens nothing. Used by one thread at a
/// time.
class file_watch {
public:
  explicit file_watch(std::filesystem::path path) : path_(std::move(path)), log_path_(path_.native() + "-wal") {}

  /// Records the files of the connection, which was just opened. Do not call it again for the same connection, because
  /// the files may have changed meanwhile.
  void note() noexcept;

  /// Whether the path leads to another file since `note`, or to none.
  bool moved() const noexcept;

  /// Whether the write-ahead log is gone that was there at `note`, or at the first call of this. Closing the connection
  /// then moves the log's content to the database file.
  bool log_moved() noexcept;

  /// Records the sizes of the files after a transaction.
  void note_bytes() noexcept { bytes_ = {bytes(), log_bytes()}; }
  /// Whether the database or its log is smaller than recorded; SQLite may have truncated the log.
  bool shrunk() const noexcept { return bytes() < bytes_.first || log_bytes() < bytes_.second; }
  uint64_t bytes() const noexcept { return bytes_in(path_); }
  uint64_t log_bytes() const noexcept { return bytes_in(log_path_); }

  /// Call it when the path leads to another file and the connection is closed: removes the log that the connection
  /// left, which SQLite would take for the log of the new file.
  void remove_stale_log();

private:
  static uint64_t bytes_in(const std::filesystem::path& path) noexcept;

  std::filesystem::path path_;
  std::filesystem::path log_path_;
  std::optional<file_identity> file_;
  std::optional<file_identity> log_;
  std::pair<uint64_t, uint64_t> bytes_;
};

} // namespace sluice::sqlite
