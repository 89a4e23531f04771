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
/// SQLite then does the same things whenever it is used in the same way: its random numbers come from the seed, and
/// nothing else is left to chance.
class memory_disk {
public:
  /// `seed` decides SQLite's random numbers; `sleep` passes the time that SQLite waits; `now` is what SQL takes for the
  /// time, without it the first moment of 2000 and what was slept since.
  /// @throws std::logic_error when SQLite has no other VFS to take the place of
  memory_disk(uint64_t seed, std::function<void(std::chrono::microseconds)> sleep,
              std::function<clock::wall()> now = {});
  /// Removes the empty files. @pre no connection is open
  ~memory_disk();
  memory_disk(const memory_disk&) = delete;
  memory_disk& operator=(const memory_disk&) = delete;

  /// From now on every operation fails and changes nothing, but to close and to give locks back.
  void cut_power();
  bool has_power() const;

  /// The machine starts again: `random` decides what has become of writes that were not synced. Shared memory and locks
  /// are gone. @throws std::logic_error when a connection is open
  void restart(std::mt19937_64& random);

  /// As if the process had died and not the machine: everything written stays, shared memory and locks go.
  /// @throws std::logic_error when a connection is open
  void restart_after_kill();

  /// Open files that a crash of the simulated process has left behind; 0 is what `restart` wants.
  uint64_t open_files() const;

  /// Whether a connection has the file at this path open.
  bool is_open(const std::string& path) const;

  /// A number for all that is on the disk, wherever the folder lies that its files are in.
  uint64_t digest() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace sluice::simulation
