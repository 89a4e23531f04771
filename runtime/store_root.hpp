#pragma once

#include "messages/error.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace sluice {

/// The folder that one broker leads: where its database files lie, and what belongs to sluice in it. Immutable; safe to
/// share between threads.
class store_root {
public:
  /// Looks the folder up and makes its `.sluice/` (0700; an existing one is tightened to that).
  /// `errc::unknown_database` when there is no such folder, `invalid_request` when it is no folder or its `.sluice` is
  /// not, `read_only` when nothing may be created there, `not_authorized` when its `.sluice` belongs to another user.
  static caf::expected<store_root> open(const std::filesystem::path& root);

  /// Absolute, without links.
  const std::filesystem::path& path() const noexcept { return path_; }

  /// The one name, relative to the root, of the database file that `name` means: `./a.db`, `sub/../a.db`, the absolute
  /// path and a link inside the root all come out as `a.db`, so that a file cannot get two writers. The file need not
  /// exist. `errc::invalid_request` for a name that leads out of the root (through a link, too) or into `.sluice/`,
  /// that is a folder or anything else but a file, that is a file of another database (`-wal`, `-shm`, `-journal`) or
  /// of ours, that has other hard links, or that is empty, over 1,024 bytes, or not plain UTF-8. Opens nothing.
  caf::expected<std::string> resolve(std::string_view name) const;

  /// The file of a resolved name.
  std::filesystem::path path_of(const std::string& resolved) const { return path_ / resolved; }

  std::filesystem::path folder() const { return path_ / ".sluice"; }
  std::filesystem::path audit_path() const { return folder() / "audit.db"; }
  std::filesystem::path logs_path() const { return folder() / "logs.db"; }
  std::filesystem::path lock_path() const { return folder() / "broker.lock"; }
  std::filesystem::path socket_path() const { return folder() / "broker.sock"; }
  std::filesystem::path info_path() const { return folder() / "broker.json"; }
  std::filesystem::path config_path() const { return path_ / "sluice.toml"; }

private:
  explicit store_root(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

/// Holds the leadership of a store: a lock that the system takes back when the process ends, however it ends.
/// Move-only.
///
/// A child that is forked without `exec` shares the lock and keeps it until it ends or closes its descriptors.
class store_lock {
public:
  /// Takes the lock, asking again with growing pauses (50 ms at most) until `budget` is over; blocks the calling thread
  /// for no longer. `errc::busy` when another process holds it all that time, with the number of tries and the time
  /// spent; `read_only` or `not_authorized` when the lock file cannot be made.
  static caf::expected<store_lock> acquire(const store_root& root, std::chrono::milliseconds budget);

  store_lock(store_lock&& other) noexcept;
  store_lock& operator=(store_lock&& other) noexcept;
  /// Lets go. The empty file stays: removing it could take the lock of a successor away.
  ~store_lock();

private:
  store_lock(int fd, pid_t owner) : fd_(fd), owner_(owner) {}

  void release() noexcept;

  int fd_ = -1;
  pid_t owner_ = 0;
};

} // namespace sluice
