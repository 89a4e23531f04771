#pragma once

#include "runtime/doctor/finding.hpp"

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice::doctor {

/// A process that has a database, or its WAL, open.
struct opener {
  pid_t pid = 0;
  /// Its command line, truncated after 80 bytes.
  std::string command;
  /// The database's name.
  std::string db;
  /// Whether it may also write.
  bool writes = false;

  friend bool operator==(const opener&, const opener&) = default;
};

struct open_files {
  /// By database and process.
  std::vector<opener> openers;
  /// The number of processes of other users, whose files this user may not see.
  size_t hidden = 0;
};

/// The other processes that have the named databases in `root` open, read from /proc.
open_files find_openers(const std::filesystem::path& root, const std::vector<std::string>& databases);

/// Whether processes other than the leader have databases open. @param leader 0 if none
findings judge_openers(const open_files& found, pid_t leader, bool has_wal_reset_bug);

/// The processes that hold a flock(2) lock on each of the files. The lock belongs to the open file, which other
/// processes may share, so the process that took it may have ended. Processes of other users are left out.
std::vector<std::vector<pid_t>> find_lock_holders(const std::vector<std::filesystem::path>& files);

/// The command line of the process, truncated after 80 bytes; empty when it has ended or is hidden.
std::string command_of(pid_t pid);

} // namespace sluice::doctor
