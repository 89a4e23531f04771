#pragma once

#include "runtime/lab/bench/bench_case.hpp"

#include <cstddef>
#include <vector>

/// The cases of `sluice bench --growth`: how the cost of a request grows with the number of agents, processes, rows,
/// databases, cached answers and the size of the log. The cases of a family differ in one size alone.
namespace sluice::bench {

/// The sizes of each family, least first. An empty list leaves the family out.
struct growth_sizes {
  std::vector<size_t> agents{1, 4, 16, 64, 256, 1'024};
  /// Empty leaves out the large database, too.
  std::vector<size_t> processes{1, 4, 16, 64, 256, 1'024};
  std::vector<size_t> rows{1'000, 10'000, 100'000, 1'000'000, 10'000'000};
  std::vector<size_t> databases{1, 10, 100, 1'000};
  /// Kept answers; the cache has room for 85,000 by default.
  std::vector<size_t> answers{1, 10, 100, 1'000, 10'000, 80'000};
  /// Megabytes of a write-ahead log that another program pins.
  std::vector<size_t> log_megabytes{1, 10, 100, 1'000};
  /// Rows of the table that is read beside such a log. More than the page cache of a connection holds, so that a read
  /// looks for a page in the log.
  size_t rows_beside_log = 1'000'000;
  /// Rows of the large database; a row has about 100 bytes.
  size_t large_rows = 10'000'000;
};

/// The sizes of `--quick`: fewer and smaller ones.
growth_sizes quick_growth_sizes();

/// The cases of all families, in the order in which they run.
std::vector<bench_case> growth_cases(const growth_sizes& sizes);

// The families.

/// Rows of the table: durable writes, and point reads that the cache does not have.
std::vector<bench_case> growth_over_rows(const std::vector<size_t>& sizes);

/// Databases of one store, written in turn.
std::vector<bench_case> growth_over_databases(const std::vector<size_t>& sizes);

/// Answers in the cache: reads of them, and writes beside them.
std::vector<bench_case> growth_over_answers(const std::vector<size_t>& sizes);

/// Megabytes of a pinned log: durable writes, and point reads that the cache does not have.
std::vector<bench_case> growth_over_log(const std::vector<size_t>& megabytes, size_t rows);

} // namespace sluice::bench
