#pragma once

#include "runtime/os/descriptor.hpp"
#include "runtime/store/folder_claim.hpp"
#include "runtime/store/store_root.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <optional>
#include <sys/types.h>

namespace sluice {

/// The reason why a store cannot be led at the moment.
struct lock_conflict {
  /// The process that has the lock or the claim; 0 when unknown.
  pid_t pid = 0;
  /// The process has a claim of the folder, but not the lock in `.sluice/`: it leads a store that contains this folder,
  /// or led this one when `.sluice/` was deleted.
  bool by_claim = false;
  /// The process is the calling one: one of its brokers uses the folder until the host closes it.
  bool is_here = false;
};

/// The error for clients: `errc::busy`, with the process and the remedy.
caf::error busy_with(const lock_conflict& conflict, uint32_t attempts, std::chrono::milliseconds waited);

/// Holds the leadership of a store: the lock of `.sluice/broker.lock` and the claim of the folder, which the system
/// releases when the process ends, however it ends. Move-only.
///
/// A forked child does not share it: the child closes its copies of the descriptors at once.
class store_lock {
public:
  /// Takes the lock if it is free; otherwise returns nothing, with the holder in `conflict`. Creates `.sluice/` if it
  /// is missing. `errc::read_only` or `not_authorized` when the lock file cannot be created, `wrong_store` when the
  /// root is no longer at its path.
  static caf::expected<std::optional<store_lock>> try_acquire(const store_root& root,
                                                              lock_conflict* conflict = nullptr);

  /// Takes the lock, with growing pauses (about 40 ms) between tries, until `budget` is over; blocks the calling thread
  /// for no longer. `errc::busy` when another process holds it all that time, with the number of tries and the wait,
  /// and at once when a broker of this process has it; else as `try_acquire`.
  static caf::expected<store_lock> acquire(const store_root& root, std::chrono::milliseconds budget);

  /// Takes over the descriptors that a starting process passed to this one, which will lead: those that `file_fd` and
  /// `claim_fd` returned there. They are closed on `exec` from now on. `errc::invalid_request` when they are not those
  /// of `root`, `busy` when another holds the lock; the caller then keeps the descriptors.
  static caf::expected<store_lock> adopt(const store_root& root, int file_fd, int claim_fd);

  store_lock(store_lock&& other) noexcept;
  store_lock& operator=(store_lock&& other) noexcept;
  /// Releases the lock, and removes `broker.lock` if it is still the file at its path.
  ~store_lock();

  /// From now on a broker of this process leads `root`, which was locked: other callers in this process do not wait for
  /// it, until `is_ending`.
  void begin_to_lead(const store_root& root) { claim_.begin_to_lead(root.identity()); }

  /// The broker that leads the store is ending, so callers may wait for it.
  void is_ending() noexcept { claim_.is_ending(); }

  /// The descriptors for a child; they are closed on `exec`, so give it copies (`dup2`).
  int file_fd() const noexcept { return file_.get(); }
  int claim_fd() const noexcept { return claim_.fd(); }

  /// Leaves the leadership to the process that was given the descriptors: closes them here without unlocking. If no
  /// other process has them, the lock is free.
  void forget() noexcept;

  /// Whether `broker.lock` still is the file that is locked: false after it was removed or replaced. The leader still
  /// prevents others from leading, but they cannot find it any more.
  bool still_ours() const noexcept;

private:
  store_lock(std::filesystem::path path, descriptor file, folder_claim claim, descriptor folder);

  void release() noexcept;

  std::filesystem::path path_;
  unshared_descriptor file_;
  folder_claim claim_;
  // Prevents the inode of the root from being reused for another folder.
  descriptor folder_;
};

} // namespace sluice
