#pragma once

#include <cstdint>
#include <string>

namespace sluice::cli {

/// What `exec` says about a write.
struct write_summary {
  /// Rows, of all statements.
  int64_t changes = 0;
  uint64_t commit_seq = 0;
  /// Whether its key had been used, so that nothing was written now.
  bool is_replayed = false;
};

/// A line.
std::string summary_line(const write_summary& write);

} // namespace sluice::cli
