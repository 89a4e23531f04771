#pragma once

#include <cstdint>
#include <string>

namespace sluice::cli {

/// The result of a write as `exec` prints it.
struct write_summary {
  /// The sum over all statements.
  int64_t changes = 0;
  uint64_t commit_seq = 0;
  /// Whether its key had been used before, so that nothing was written now.
  bool is_replayed = false;
};

/// A line.
std::string summary_line(const write_summary& write);

} // namespace sluice::cli
