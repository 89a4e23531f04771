#pragma once

#include "runtime/os/descriptor.hpp"
#include "runtime/store/folder_claim.hpp"
#include "runtime/store/store_root.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <optional>
#include <sys/types.h>

namespace sluice {

/// Why a store cannot be led at the moment.
struct lock_conflict {
  /// The process that is in the way; 0 when it is not known.
  pid_t pid = 0;
  /// That process has a claim of the folder, but not the lock in `.sluice/`: it leads a store that this folder is a
  /// part of, or led this one when `.sluice/` was deleted.
  bool by_claim = false;
  /// That process is this one: one of its brokers works in the folder, and ends when the host has it end.
  bool is_here = false;
};

/// The error for clients: `errc::busy`, with the process and the remedy.
caf::error busy_with(const lock_conflict& conflict, uint32_t attempts, std::chrono::milliseconds waited);

/// Holds the leadership of a store: the lock of `.sluice/broker.lock` and the claim of the folder, which the system
/// takes back when the process ends, however it ends. Move-only.
///
/// A forked child has no part in it: it closes its copies of the descriptors at once.
class store_lock {
public:
  /// Takes the lock if it is free; nothing when another has it, and which one in `conflict`. Makes `.sluice/` if it is
  /// missing. `errc::read_only` or `not_authorized` when the lock file cannot be made, `wrong_store` when the root is
  /// not in its place any more.
  static caf::expected<std::optional<store_lock>> try_acquire(const store_root& root,
                                                              lock_conflict* conflict = nullptr);

  /// Takes the lock, asking again with growing pauses (40 ms or so) until `budget` is over; blocks the calling thread
  /// for no longer. `errc::busy` when another process holds it all that time, with the number of tries and the time
  /// spent, and at once when a broker of this process has it; else as `try_acquire`.
  static caf::expected<store_lock> acquire(const store_root& root, std::chrono::milliseconds budget);

  /// Takes over, in the process that is to lead from now on, the descriptors that it was started with: what `file_fd`
  /// and `claim_fd` were where the lock was taken. They are closed on `exec` from now on. `errc::invalid_request` when
  /// they are not those of `root`, `busy` when another holds the lock; the descriptors stay the caller's then.
  static caf::expected<store_lock> adopt(const store_root& root, int file_fd, int claim_fd);

  store_lock(store_lock&& other) noexcept;
  store_lock& operator=(store_lock&& other) noexcept;
  /// Lets go, and removes `broker.lock` if it is still the file at its path.
  ~store_lock();

  /// A broker of this process leads `root`, which was locked, from now on: others of this process do not wait for it,
  /// until `is_ending`.
  void begin_to_lead(const store_root& root) { claim_.begin_to_lead(root.identity()); }

  /// That broker is ending, and may be waited for.
  void is_ending() noexcept { claim_.is_ending(); }

  /// The descriptors for a child; they are closed on `exec`, so give it copies (`dup2`).
  int file_fd() const noexcept { return file_.get(); }
  int claim_fd() const noexcept { return claim_.fd(); }

  /// Leaves the leadership to the process that was given the descriptors: closes ours and unlocks nothing. If no other
  /// process has them, the lock is free.
  void forget() noexcept;

  /// Whether `broker.lock` still is the file that is locked: false once it was removed or replaced. A leader that finds
  /// it gone still keeps others from leading, but they cannot find it any more.
  bool still_ours() const noexcept;

private:
  store_lock(std::filesystem::path path, descriptor file, folder_claim claim, descriptor folder);

  void release() noexcept;

  std::filesystem::path path_;
  unshared_descriptor file_;
  folder_claim claim_;
  // Keeps the inode of the root from being given to another folder.
  descriptor folder_;
};

} // namespace sluice
