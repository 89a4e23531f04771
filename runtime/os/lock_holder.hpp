#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace sluice {

/// A lock of fcntl(2) that a process holds on a file, as the system lists it.
struct file_lock {
  pid_t pid = 0;
  bool excludes = false;
  /// The locked bytes, including the last one.
  uint64_t first = 0;
  uint64_t last = 0;
};

/// The locks on the file with this inode in a text like that of /proc/locks. Leaves out waiting processes.
std::vector<file_lock> locks_in(std::string_view listing, ino_t inode);

/// The process that prevents others from writing, or reading, the SQLite database at `path`: "process 4711 (python3)",
/// with its pid and program name. Nothing when no other process does, or when this process cannot see it. Opens neither
/// the database nor its companion files: closing one would drop this process's own locks.
std::optional<std::string> find_lock_holder(const std::filesystem::path& path);

} // namespace sluice
