#pragma once

#include "runtime/doctor/finding.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice::doctor {

/// The index of a write-ahead log (`-shm`), and the processes that hold locks in it.
struct wal_view {
  uint64_t file_bytes = 0;
  /// The number of frames in the log, and how many of them are in the database already.
  uint64_t frames = 0;
  uint64_t moved = 0;

  struct reader {
    pid_t pid = 0;
    /// It reads the log up to this frame, so later frames cannot be moved.
    uint64_t up_to = 0;
  };
  std::vector<reader> readers;
  /// The process that holds the write lock; 0 if none.
  pid_t writer = 0;
};

/// Reads the index of the log beside `database`; nothing when log or index are missing, or the index is unreadable.
/// Takes no lock and changes nothing. @pre this process has no connection to the database, whose locks would be dropped
std::optional<wal_view> look_at_wal(const std::filesystem::path& database);

/// Whether the log has a usual size, and if not, the processes that prevent checkpoints. @param leader 0 if none
finding judge_wal(const std::string& db, const wal_view& view, pid_t leader);

} // namespace sluice::doctor
