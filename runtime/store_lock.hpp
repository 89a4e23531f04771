#pragma once

#include "runtime/descriptor.hpp"
#include "runtime/store_root.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <optional>
#include <sys/types.h>

namespace sluice {

/// Holds the leadership of a store: locks that the system takes back when the process ends, however it ends.
/// Move-only.
///
/// A child that is forked without `exec` shares the locks and keeps them until it ends or closes its descriptors.
class store_lock {
public:
  /// Takes the lock if it is free; nothing when another has it. `errc::read_only` or `not_authorized` when the lock
  /// file cannot be made.
  static caf::expected<std::optional<store_lock>> try_acquire(const store_root& root);

  /// Takes the lock, asking again with growing pauses (40 ms or so) until `budget` is over; blocks the calling thread
  /// for no longer. `errc::busy` when another holds it all that time, with the number of tries and the time spent; else
  /// as `try_acquire`.
  static caf::expected<store_lock> acquire(const store_root& root, std::chrono::milliseconds budget);

  /// Takes over, in the process that is to lead from now on, the descriptors that it was started with: what `file_fd`
  /// and `folder_fd` were where the lock was taken. They are closed on `exec` from now on. `errc::invalid_request` when
  /// they are not those of `root`, `busy` when another holds the lock; the descriptors stay the caller's then.
  static caf::expected<store_lock> adopt(const store_root& root, int file_fd, int folder_fd);

  store_lock(store_lock&& other) noexcept;
  store_lock& operator=(store_lock&& other) noexcept;
  /// Lets go, and removes `broker.lock` if it is still the file at its path.
  ~store_lock();

  /// What a child is to inherit; closed on `exec` as they are, so give it copies (`dup2`).
  int file_fd() const noexcept { return file_.get(); }
  int folder_fd() const noexcept { return folder_.get(); }

  /// Leaves the leadership to the process that was given the descriptors: closes ours and unlocks nothing. If nobody
  /// else has them, the lock is free.
  void forget() noexcept;

  /// Whether `broker.lock` still is the file that is locked: false once somebody removed or replaced it. A leader that
  /// finds it gone still keeps others from leading, but they cannot find it any more.
  bool still_ours() const noexcept;

private:
  store_lock(std::filesystem::path path, descriptor file, descriptor folder);

  static caf::expected<std::optional<store_lock>> attempt(const store_root& root, pid_t& holder);
  void release() noexcept;

  std::filesystem::path path_;
  descriptor file_;
  descriptor folder_;
  pid_t owner_;
};

} // namespace sluice
