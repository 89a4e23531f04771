#pragma once

#include "runtime/os/descriptor.hpp"
#include "tests/simulation/disk_content.hpp"
#include "tests/simulation/disk_locks.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

namespace sluice::simulation {

/// A file of a disk in memory. Exists while it has a name or is open.
struct disk_file {
  disk_content content;
  level_locks locks;
  shared_index index;
  /// The number of open handles.
  uint32_t openings = 0;
  /// The empty file that stands for it in the real file system; kept open, so that no other file gets its inode number.
  descriptor placeholder;
};

/// The names on a disk in memory twice: as all programs see them, and as a power cut would leave them.
///
/// A file that was made and not synced may be gone after a cut, and one that was removed may be back. POSIX promises a
/// name only when its folder was synced, which SQLite does for journals and WALs, but not for the database itself;
/// ext4, XFS and Btrfs make the name of a new file durable when the file is synced, and so does this class. A cut never
/// shows half of a change, and of several changes to one name only the first or the last state, because these file
/// systems keep their metadata in order.
class disk_directory {
public:
  using file = std::shared_ptr<disk_file>;

  disk_directory() = default;
  disk_directory(const disk_directory&) = delete;
  disk_directory& operator=(const disk_directory&) = delete;
  ~disk_directory();

  /// The file at a path; null when there is none. Placeholders that other code has made, renamed or removed meanwhile
  /// stand for files that were made, renamed or removed.
  file find(const std::string& path);

  /// A new, empty file, in place of what may be there; null when the real file system refuses.
  file make(const std::string& path);

  void remove(std::string path);

  /// Notes that a file was synced, which makes its name durable as well.
  void sync(const std::string& path, const file& file);

  /// Notes that the folder of `path` was synced, which makes its names durable.
  void sync_folder(const std::string& path);

  /// Makes or removes the placeholder of the shared memory of a database; it is not on the disk.
  void show_index(const std::string& path);
  void hide_index(std::string path);

  /// Applies a power cut; `random` decides its effect.
  void crash(std::mt19937_64& random);

  uint64_t digest() const;

private:
  void forget_removed();

  std::map<std::string, file> names_;
  std::map<std::string, file> durable_;
  std::set<std::string> indexes_;
};

} // namespace sluice::simulation
