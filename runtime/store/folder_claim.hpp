#pragma once

#include "runtime/os/descriptor.hpp"
#include "runtime/os/file_identity.hpp"
#include "runtime/os/forks.hpp"
#include "runtime/store/led_folder.hpp"

#include <caf/expected.hpp>

#include <optional>
#include <sys/types.h>
#include <vector>

namespace sluice {

/// Marks that a broker of this user works in a folder: it leads the store there, or it has opened databases in it that
/// belong to a store further up. At most one broker at a time can hold the claim of a folder, by whatever path it was
/// reached. The system releases the claim when the process ends, however it ends. Move-only.
///
/// A claim is a listening Unix socket in the abstract namespace, whose name is made of the user, the device and the
/// inode. It needs no file that could be deleted. Unlike with a flock(2) on the folder, the owner can be identified:
/// another user can take the name but is recognized as another user. Processes in another network or user namespace do
/// not see it.
class folder_claim {
public:
  /// Takes the claim if no other broker of this user has it; otherwise returns nothing, with that broker's process in
  /// `holder` (0 if unknown). `errc::io_error` when the process has no free descriptor, or the system refuses for a
  /// similar reason.
  static caf::expected<std::optional<folder_claim>> try_acquire(const file_identity& folder, pid_t& holder);

  /// Takes over a claim that was inherited as `fd`, which from now on is closed on `exec`. `errc::invalid_request` when
  /// `fd` is not the claim of `folder`; the caller then keeps `fd`.
  static caf::expected<folder_claim> adopt(const file_identity& folder, int fd);

  /// From now on a broker of this process works in `folder`, whose claim this is: no other caller in this process waits
  /// for the claim, until it is released or `is_ending` is called.
  void begin_to_lead(const file_identity& folder);

  /// The broker is ending, so callers may wait for it.
  void is_ending() noexcept { led_.reset(); }

  folder_claim(folder_claim&& other) noexcept = default;
  folder_claim& operator=(folder_claim&& other) noexcept;
  /// Releases the claim. A forked child has none.
  ~folder_claim();

  /// The descriptor that a child process inherits; closed on `exec`, so give the child a copy (`dup2`).
  int fd() const noexcept { return socket_.get(); }

  /// Releases the claim now, for all processes that have inherited it.
  void release() noexcept;

  /// Leaves the claim to a process that has inherited it: closes the descriptor without releasing the claim.
  void forget() noexcept {
    led_.reset();
    socket_.reset();
  }

private:
  explicit folder_claim(descriptor socket);

  unshared_descriptor socket_;
  std::unique_ptr<led_folder> led_;
};

/// A process that holds a claim of a folder, or occupies its name.
struct claim_holder {
  /// 0 when the process is hidden.
  pid_t pid = 0;
  /// The user of the process; only a holder of this user counts.
  uid_t uid = 0;
};

/// The processes that hold claims of `folder` in the name of `uid`. Takes no claim; connects to the sockets for a
/// moment.
std::vector<claim_holder> claim_holders(const file_identity& folder, uid_t uid);

} // namespace sluice
