#pragma once

#include "runtime/os/file_identity.hpp"
#include "runtime/store/folder_claim.hpp"

#include <map>
#include <mutex>

namespace sluice::sqlite {

class file_guard;

/// The databases that a broker has open, by device and inode and not by name: one file has one writer, whatever names
/// lead to it. A file that was moved while it was open, or that is mounted at a second place, is refused there until
/// its connections are closed, in this broker and in others of this user. Thread-safe.
class file_claims {
public:
  /// Claims the file for `by`, or confirms its claim. When another guard of this broker has the claim, that guard first
  /// checks whether it still needs it. `errc::busy` when another broker has it, `invalid_request` when it is another
  /// database of this broker; `io_error` when the process has no free descriptor, or the system refuses for a similar
  /// reason.
  caf::error acquire(const file_identity& file, file_guard& by);

  /// Releases the claims of `by`.
  void release(const file_guard& by) noexcept;
  void clear() noexcept;

private:
  struct entry {
    file_guard* owner;
    folder_claim claim;
  };

  file_guard* owner_of(const file_identity& file) const noexcept;

  mutable std::mutex mutex_;
  std::map<file_identity, entry> entries_;
};

} // namespace sluice::sqlite
