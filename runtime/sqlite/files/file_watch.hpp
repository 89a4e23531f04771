#pragma once

#include "runtime/os/file_identity.hpp"

#include <filesystem>
#include <optional>
#include <utility>

namespace sluice::sqlite {

/// Remembers which files a path and its `-wal` led to while the database there is open, to notice that they were moved
/// or deleted: later writes to such files are lost with their last descriptor. Opens nothing. Used by one thread at a
/// time.
class file_watch {
public:
  explicit file_watch(std::filesystem::path path) : path_(std::move(path)), log_path_(path_.native() + "-wal") {}

  /// The files are now those of the connection, which was just opened. Not to be repeated for the same connection,
  /// because the files may have changed meanwhile.
  void note() noexcept;

  /// Whether the path leads to another file since `note`, or to none.
  bool moved() const noexcept;

  /// Whether the write-ahead log that was there at `note`, or when this was asked first, is not there any more. Closing
  /// the connection then moves what is in it to the database file.
  bool log_moved() noexcept;

  /// The files have as many bytes now, after a transaction.
  void note_bytes() noexcept { bytes_ = {bytes(), log_bytes()}; }
  /// Whether the database or its log has fewer bytes than were noted; SQLite may have done that to the log.
  bool shrunk() const noexcept { return bytes() < bytes_.first || log_bytes() < bytes_.second; }
  uint64_t bytes() const noexcept { return bytes_in(path_); }
  uint64_t log_bytes() const noexcept { return bytes_in(log_path_); }

  /// After the path has come to lead elsewhere and the connection is closed: removes the log that it left there, which
  /// SQLite would take for that of the file in its place.
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
