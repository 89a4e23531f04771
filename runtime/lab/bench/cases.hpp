#pragma once

#include "runtime/lab/bench/measurement.hpp"
#include "runtime/store/config.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace sluice::bench {

struct bench_options {
  /// Agents of the many-writers case.
  size_t agents = 64;
  /// How long each contender runs in each case.
  std::chrono::milliseconds duration{2'000};
  /// A folder for the files, on the file system to measure.
  std::filesystem::path folder;
};

/// A ratio between two contenders of a case, and its target.
struct goal {
  std::string text;
  double ratio = 0;
  double wanted = 0;
  /// Whether less is better, as with times.
  bool at_most = false;

  bool met() const { return at_most ? ratio <= wanted : ratio >= wanted; }
};

struct case_report {
  std::string name;
  std::vector<measurement> contenders;
  std::vector<goal> goals;
};

/// Many agents write one row each in a loop, `synchronous=FULL`: through the broker as CAF actors and as threads, by
/// raw SQLite at the same rows per COMMIT, and through a mutex around one connection.
case_report many_writers(const bench_options& options);

/// One agent writes one row at a time, `synchronous=FULL`.
case_report lone_writer(const bench_options& options);

/// The same point read again and again: from the hit table, and by a prepared statement.
case_report cached_read(const bench_options& options);

/// Sixteen agents read different rows, so that nothing is cached.
case_report uncached_reads(const bench_options& options);

/// The same small table written by user actions (each waits for its COMMIT), by background work (through the
/// write-behind buffer, with and without its journal), and log entries beside them; and directly, as people do.
case_report latency_classes(const bench_options& options);

/// New rows until the last of them is on disk: one by one, and through the buffer.
case_report flushed_rows(const bench_options& options);

/// Many writers with the audit, and with one that throws its records away.
case_report cost_of_audit(const bench_options& options);

/// Processes write one row each in a loop: through the socket of a broker, waiting for the COMMIT or into the
/// write-behind buffer, and each on a connection of its own.
case_report process_writers(const bench_options& options, size_t processes, synchronous_mode mode);

/// The cost of metrics per answer, beside the cost of the cheapest answer.
case_report cost_of_metrics(const bench_options& options);

/// Processes read single rows: through the socket, the same row and different ones, and directly.
case_report process_readers(const bench_options& options, size_t processes);

/// `sluice exec` with and without a broker that runs, beside the `sqlite3` program.
case_report cold_commands(const bench_options& options);

} // namespace sluice::bench
