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

/// The files at the paths of a database; empty where there is none.
struct found_files {
  std::optional<file_identity> database;
  std::optional<file_identity> log;
  std::optional<file_identity> index;
  /// The size of the database file, in bytes.
  uint64_t size = 0;
  int64_t changed_ns = 0;
  /// The number of hard links to the database file.
  uint64_t links = 0;

  friend bool operator==(const found_files&, const found_files&) = default;
};

/// Looks up the files of a database repeatedly with few system calls: three, and two while nothing is created, renamed
/// or removed in their folder.
///
/// Such a change updates the folder's change time. While that time is the same, the folder's entries are the same. If
/// the path also leads to a database file that has one hard link, which is in that folder, the paths of the log and the
/// index lead into it as well. This is relied on only for file systems that are known for it, and only if the change
/// time is two seconds old when the files are looked up: a later change gets another time, and an earlier one is
/// complete.
///
/// Opens no file except the folder (O_PATH), so that no lock is dropped. Thread-safe.
class database_files {
public:
  using duration = std::chrono::nanoseconds;

  /// @param folders the number of the database's folders that belong to its name: none of them may be a link
  explicit database_files(std::filesystem::path database, size_t folders = 0,
                          duration quiet_time = std::chrono::seconds{2});

  found_files find() noexcept;

  /// The bytes in the log at the path; 0 if there is none.
  uint64_t log_size() const noexcept;

  /// The last modification of the log at the path; 0 if there is none. Do not call it often, see `identity_of`.
  int64_t log_changed_ns() const noexcept;

  /// Whether `find` relies on the folder's time of change.
  bool relies_on_folder() const noexcept;

  /// Closes the folder, so that its file system can be unmounted.
  void forget() noexcept;

private:
  // A folder without recent changes, and its content.
  struct quiet_folder {
    descriptor folder;
    int64_t changed_ns = 0;
    found_files files;
  };

  bool lies_in_folders() const noexcept;
  std::shared_ptr<const quiet_folder> quiet() const noexcept;
  void remember_folder(const found_files& found) noexcept;
  std::shared_ptr<const quiet_folder> open_quiet_folder(const found_files& found) const;

  const std::filesystem::path database_;
  const std::filesystem::path log_;
  const std::filesystem::path index_;
  const std::filesystem::path folder_;
  // The folders of the name, from the inner one outwards.
  std::vector<std::filesystem::path> folders_;
  const duration quiet_time_;
  mutable std::mutex mutex_;
  std::shared_ptr<const quiet_folder> quiet_;
  // The folder is not checked again before this time of the system's clock.
  int64_t next_folder_check_ns_ = 0;
};

} // namespace sluice::sqlite
