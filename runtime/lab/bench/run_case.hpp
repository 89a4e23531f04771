#pragma once

#include "runtime/lab/bench/bench_case.hpp"

namespace sluice::bench {

struct run_options {
  /// How long each contender runs in each round.
  std::chrono::milliseconds duration{500};
  size_t rounds = 5;
  /// An existing folder on the file system to measure; the contenders' folders are created in it.
  std::filesystem::path folder;
};

/// Opens the contenders, runs the rounds (first A, then B, then C, then A again, so that all see the same changes of
/// the machine), closes them, and compares. Errors are in the result, not thrown.
case_result run_case(const bench_case& definition, const run_options& options);

} // namespace sluice::bench
