#pragma once

#include "runtime/os/descriptor.hpp"
#include "runtime/os/file_identity.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace sluice::sqlite {

/// Which files lie at the paths of a database: nothing where there is none.
struct found_files {
  std::optional<file_identity> database;
  std::optional<file_identity> log;
  std::optional<file_identity> index;
  /// Of the database file.
  uint64_t size = 0;
  int64_t changed_ns = 0;

  friend bool operator==(const found_files&, const found_files&) = default;
};

/// Looks up the files of a database, again and again, with few system calls: three, and two while nothing is created,
/// renamed or removed in their folder.
///
/// Such a change shows in the folder's own time of change. While that is the same, its entries are; and while the path
/// leads to a database file that has one hard link, which is in that folder, the paths of the log and the index lead
/// into it as well. That is believed of file systems that are known for it, and of a time that is two seconds old when
/// the files are looked up: a change that comes later has another time, and one that is under way has come to its end.
///
/// Opens no file, but the folder as a mere place, so that no lock is lost. Thread-safe.
class database_files {
public:
  using duration = std::chrono::nanoseconds;

  /// @param folders how many of the database's folders belong to its name: none of them may be a link
  explicit database_files(std::filesystem::path database, size_t folders = 0,
                          duration quiet_time = std::chrono::seconds{2});

  found_files find() noexcept;

  /// The bytes in the log at the path; 0 if there is none.
  uint64_t log_size() const noexcept;

  /// When the log at the path was written last; 0 if there is none. Not to be asked often, as `identity_of` says.
  int64_t log_changed_ns() const noexcept;

  /// Whether `find` relies on the folder's time of change.
  bool relies_on_folder() const noexcept;

  /// Lets go of the folder, so that its file system can be unmounted.
  void forget() noexcept;

private:
  // A folder that was quiet, and what lay in it.
  struct quiet_folder {
    descriptor folder;
    int64_t changed_ns = 0;
    found_files files;
  };

  bool lies_in_folders() const noexcept;
  std::shared_ptr<const quiet_folder> quiet() const noexcept;
  void look_at_folder(const found_files& found) noexcept;
  std::shared_ptr<const quiet_folder> open_quiet_folder(const found_files& found) const;

  const std::filesystem::path database_;
  const std::filesystem::path log_;
  const std::filesystem::path index_;
  const std::filesystem::path folder_;
  // Those of the name, from the inner one outwards.
  std::vector<std::filesystem::path> folders_;
  const duration quiet_time_;
  mutable std::mutex mutex_;
  std::shared_ptr<const quiet_folder> quiet_;
  // Until then the folder is not checked again; of the system's clock.
  int64_t next_look_ns_ = 0;
};

} // namespace sluice::sqlite
