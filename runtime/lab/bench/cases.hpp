#pragma once

#include "runtime/lab/bench/bench_case.hpp"
#include "runtime/store/config.hpp"

#include <vector>

/// The cases of `sluice bench`. Rows have about 100 bytes; each case has raw SQLite beside sluice.
namespace sluice::bench {

/// The sizes of cases that come in several.
struct case_sizes {
  std::vector<size_t> agents{1, 16, 64};
  /// Empty leaves out the cases across processes, and the commands.
  std::vector<size_t> processes{1, 16, 64};
};

/// All cases, in the order in which they run.
std::vector<bench_case> all_cases(const case_sizes& sizes);

/// Agents of one process write one row each in a loop: as CAF actors and as threads, through a mutex around one
/// connection, and by raw SQLite at the same rows per COMMIT.
bench_case agents_writing(size_t agents, synchronous_mode mode);

/// As `agents_writing`, with `in_flight` concurrent requests of each agent.
bench_case agents_in_flight(size_t agents, size_t in_flight);

/// One point read, repeated: answered from the result cache, and by a prepared statement.
bench_case cached_reads();

/// Agents of one process read different rows, so that nothing is cached.
bench_case uncached_reads(size_t agents);

/// Writes to one small table: by user actions (each waits for its COMMIT), by background work (through the write-behind
/// buffer, with and without its journal), and directly; and log entries.
bench_case latency_classes();

/// New rows until the last of them is on disk: one by one, through the buffer, and directly.
bench_case flushed_rows();

/// Many writers, with the audit and with an audit actor that drops its records.
bench_case cost_of_audit();

/// The time to count an answer in the metrics, compared with the time of the answer.
bench_case cost_of_metrics();

/// Processes write one row each in a loop: through the socket of a broker, waiting for the COMMIT or into the
/// write-behind buffer; through the socket bound; and each on a connection of its own.
bench_case processes_writing(size_t processes, synchronous_mode mode);

/// Processes read single rows: through the socket, the same row and different ones; through the socket bound; directly.
bench_case processes_reading(size_t processes);

/// `sluice exec` and `sluice query` with and without a broker that runs, beside the `sqlite3` program.
bench_case commands_writing();
bench_case commands_reading();

// Parts that several cases share.

/// `FULL` or `NORMAL`, as in SQL; `full` or `normal`, as in the names of cases.
const char* to_string(synchronous_mode mode) noexcept;
const char* suffix_of(synchronous_mode mode) noexcept;

/// Labels of sizes.
inline constexpr const char* agents_label = "agents in one process";
inline constexpr const char* processes_label = "processes";

/// Agents of one process write one row each in a loop: CAF actors, or threads.
contender actors_through_broker(size_t agents, size_t in_flight, synchronous_mode mode);
contender threads_through_broker(size_t threads, synchronous_mode mode);

/// The work of `actors_through_broker` on one SQLite connection that all threads share.
contender mutex_around_one_connection(size_t threads, synchronous_mode mode);

/// Raw SQLite that commits as many rows at a time as the first contender did in the same round.
contender raw_at_the_same_group_size(synchronous_mode mode);

} // namespace sluice::bench
