#pragma once

#include "runtime/sqlite/faults/fault_rules.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sluice::sqlite {

/// How a `fault_vfs` acts on the world: on the machine's own time and process, or on those of a simulation. Called in
/// the thread that uses the file, with no lock of the `fault_vfs` held.
struct fault_hooks {
  std::function<void(std::chrono::milliseconds)> sleep;
  /// May return; the operation then fails as on a broken disk.
  std::function<void()> kill;
};

/// Sleeps, and ends the process with SIGKILL.
fault_hooks real_faults();

/// A disk that fails on demand: a VFS of SQLite in front of the one that was the default before, whose place it takes
/// for as long as it lives. One at a time in a process; made before the first connection, and destroyed after the last.
/// Safe to use from any thread.
///
/// Shared memory (the WAL index) is passed through unharmed; its locks count as `disk_operation::lock` of the database
/// file. Reads through memory (`mmap_size`) are not seen; sluice's connections never use them.
class fault_vfs {
public:
  /// @throws std::logic_error when there is one already, or SQLite has no VFS
  explicit fault_vfs(fault_hooks hooks = real_faults());
  ~fault_vfs();
  fault_vfs(const fault_vfs&) = delete;
  fault_vfs& operator=(const fault_vfs&) = delete;

  /// Adds a fault; those added before come first when several could hit an operation.
  void inject(disk_fault fault);

  /// From now on this many bytes more may be written past the ends of files before the disk is full; nothing means any
  /// number. Removing or truncating files makes no new room.
  void set_room(std::optional<uint64_t> bytes);

  /// Forgets all faults, and gives the disk all the room.
  void heal();

  /// How many operations of this kind there have been, on files whose paths end so, those that failed included.
  uint64_t count(const std::string& file, disk_operation on) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace sluice::sqlite
