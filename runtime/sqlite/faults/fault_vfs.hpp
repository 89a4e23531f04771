#pragma once

#include "runtime/sqlite/faults/fault_rules.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sluice::sqlite {

/// How a `fault_vfs` delays operations and kills the process: in reality, or in a simulation. Called in the thread that
/// uses the file, without a lock of the `fault_vfs`.
struct fault_hooks {
  std::function<void(std::chrono::milliseconds)> sleep;
  /// May return; the operation then fails as on a broken disk.
  std::function<void()> kill;
};

/// Sleeps, and ends the process with SIGKILL.
fault_hooks real_faults();

/// A disk that fails on demand: a VFS of SQLite in front of the previous default VFS, which it replaces as long as it
/// lives. One at a time in a process; created before the first connection, and destroyed after the last. Safe to use
/// from any thread.
///
/// Shared memory (the WAL index) is passed through without faults; its locks count as `disk_operation::lock` of the
/// database file. Reads through memory (`mmap_size`) are not intercepted; sluice's connections never use them.
class fault_vfs {
public:
  /// @throws std::logic_error when there is one already, or SQLite has no VFS
  explicit fault_vfs(fault_hooks hooks = real_faults());
  ~fault_vfs();
  fault_vfs(const fault_vfs&) = delete;
  fault_vfs& operator=(const fault_vfs&) = delete;

  /// Adds a fault; if several could hit an operation, those added before come first.
  void inject(disk_fault fault);

  /// From now on at most this many bytes may be written past the ends of files before the disk is full; nothing means
  /// no limit. Removing or truncating files frees no space.
  void set_room(std::optional<uint64_t> bytes);

  /// Removes all faults and the limit on space.
  void heal();

  /// The number of such operations on files whose paths have this end, including failed ones.
  uint64_t count(const std::string& file, disk_operation on) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace sluice::sqlite
