#pragma once

#include "runtime/doctor/finding.hpp"
#include "runtime/store/folder_claim.hpp"

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice::doctor {

/// The leader of a store, according to its files and locks.
struct leadership {
  /// The processes that hold the lock of `broker.lock` and the claim of the folder; 0 if there is none, or if it is
  /// hidden.
  pid_t lock_holder = 0;
  pid_t claim_holder = 0;
  bool has_lock_file = false;
  bool has_socket = false;
  /// Whether a broker answers at the socket.
  bool answers = false;
  /// The process that `broker.json` names; 0 if none.
  pid_t named = 0;
  /// `broker.json` belongs to another folder, of which this one is a copy. `named` is then 0.
  bool is_copied = false;
  /// Processes of other users that occupy the socket names for claims of this folder.
  std::vector<sluice::claim_holder> strangers{};
  /// Describes a process that accepts connections at the socket and does not answer; empty if there is none.
  std::string silence{};

  /// The leader; 0 if there is none, or if it is hidden.
  pid_t leader() const noexcept { return lock_holder > 0 ? lock_holder : claim_holder; }
};

/// Reads the locks and files of the store in `root`. Takes no lock, and connects to the socket: for a moment, or for
/// two seconds if there is no answer.
leadership look_at_leadership(const std::filesystem::path& root);

/// Whether the store has at most one leader, and clients can find it.
findings judge_leadership(const leadership& found);

} // namespace sluice::doctor
