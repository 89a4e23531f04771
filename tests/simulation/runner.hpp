#pragma once

#include "tests/simulation/clients.hpp"
#include "tests/simulation/files.hpp"
#include "tests/simulation/world.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sluice::simulation {

/// The result of a run.
struct verdict {
  std::optional<violation> broken;
  /// Hashes of the events and of the final content of the disk, to compare two runs.
  uint64_t trace_hash = 0;
  uint64_t digest = 0;
  /// The number of requests of clients, and of messages that actors took.
  uint64_t operations = 0;
  uint64_t steps = 0;
  uint64_t crashes = 0;
  /// With `keep_trace`, a line per event.
  std::vector<std::string> lines;
};

/// Runs a plan to its end and judges it. One at a time in a process.
verdict run(const plan& plan, bool keep_trace = false);

} // namespace sluice::simulation
