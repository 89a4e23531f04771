#include "runtime/cli/write_text.hpp"

#include "actors/base/counted.hpp"

namespace sluice::cli {

std::string summary_line(const write_summary& write) {
  return counted(static_cast<uint64_t>(write.changes), "row") + " changed, commit " + std::to_string(write.commit_seq)
         + (write.is_replayed ? " (replayed)\n" : "\n");
}

} // namespace sluice::cli
