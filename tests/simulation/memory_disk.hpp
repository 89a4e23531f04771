#pragma once

#include "actors/base/clock.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>

namespace sluice::simulation {

/// A disk in memory, as the default VFS of SQLite for as long as it lives; for one thread. All connections see a write
/// at once, but only synced bytes are sure to survive a power cut; of the rest, each write may be there, be missing, or
/// be torn at a boundary of 512 bytes, whatever its order (disk_content.hpp), and names that were given or taken since
/// the last sync may be there or not (disk_directory.hpp).
///
/// A file of the disk also is an empty file at its path in the real file system, for code that only asks whether it
/// exists. Faults come from a `sqlite::fault_vfs` in front of this.
///
/// SQLite is then deterministic: its random numbers come from the seed.
class memory_disk {
public:
  /// `seed` decides SQLite's random numbers; `sleep` advances the time that SQLite waits; `now` is the time in SQL, by
  /// default the start of 2000 plus the waits so far.
  /// @throws std::logic_error when SQLite has no other VFS to take the place of
  memory_disk(uint64_t seed, std::function<void(std::chrono::microseconds)> sleep,
              std::function<clock::wall()> now = {});
  /// Removes the empty files. @pre no connection is open
  ~memory_disk();
  memory_disk(const memory_disk&) = delete;
  memory_disk& operator=(const memory_disk&) = delete;

  /// From now on every operation fails and changes nothing, except closing files and releasing locks.
  void cut_power();
  bool has_power() const;

  /// Restarts the machine: `random` decides which unsynced writes are kept. Shared memory and locks are lost. @throws
  /// std::logic_error when a connection is open
  void restart(std::mt19937_64& random);

  /// Simulates the death of the process alone: everything written stays, shared memory and locks are lost.
  /// @throws std::logic_error when a connection is open
  void restart_after_kill();

  /// Open files that a crash of the simulated process has left behind; 0 is what `restart` wants.
  uint64_t open_files() const;

  /// Whether a connection has the file at this path open.
  bool is_open(const std::string& path) const;

  /// A digest of the whole content of the disk, which does not depend on the path of the folder.
  uint64_t digest() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace sluice::simulation
