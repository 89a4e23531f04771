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
  /// The bytes locked, the last one included.
  uint64_t first = 0;
  uint64_t last = 0;
};

/// The locks on the file with this number in a text like that of /proc/locks. Waiting processes are left out.
std::vector<file_lock> locks_in(std::string_view listing, ino_t inode);

/// The process that keeps others from writing, or reading, the SQLite database at `path`: "process 4711 (python3)", by
/// pid and the name of its program. Nothing when no other process does, or it cannot be seen from here. Opens neither
/// the database nor its companion files: closing one would drop this process's own locks.
std::optional<std::string> find_lock_holder(const std::filesystem::path& path);

} // namespace sluice
