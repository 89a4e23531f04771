#pragma once

#include "runtime/doctor/finding.hpp"

#include <filesystem>

namespace sluice::doctor {

/// The free and total space of a file system, in bytes and in files. A total of zero files means that it does not count
/// them.
struct disk_room {
  uint64_t bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t files = 0;
  uint64_t free_files = 0;
};

/// Whether there is enough space. @param wal_bytes the space that the largest WAL may need when it is moved into its
/// database
finding judge_room(const disk_room& room, uint64_t wal_bytes);

/// Whether SQLite's WAL works on a file system with this magic number (statfs(2)).
finding judge_file_system(uint64_t magic);

/// Both, for the file system of `folder`.
findings check_disk(const std::filesystem::path& folder, uint64_t wal_bytes);

} // namespace sluice::doctor
