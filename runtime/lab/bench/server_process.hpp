#pragma once

#include "runtime/lab/bench/process.hpp"
#include "runtime/lab/bench/resource_usage.hpp"

#include <cstdint>
#include <filesystem>

namespace sluice::bench {

/// The server of a case across processes. It runs in a process of its own, so that its processor time and context
/// switches are counted apart from those of its clients.
enum class server_kind : uint8_t {
  /// A broker, as `sluice serve` has it.
  broker_full,
  broker_normal,
  /// The socket bound (runtime/lab/bench/socket_bound.hpp).
  bound_full,
  bound_normal,
};

/// The work of a server so far. Plain data, which the server's process sends to the process that measures.
struct server_report {
  resource_usage used;
  uint64_t commits = 0;
  uint64_t committed_rows = 0;
  uint64_t flushes = 0;
  uint64_t flushed_rows = 0;
  /// Buffered rows that could not be written.
  uint64_t kept_rows = 0;
};

/// Starts a server of the store `root` (`bench-server`) and waits until it serves; ends it in the destructor. Errors
/// end the case with an exception.
class server_process {
public:
  server_process(server_kind kind, const std::filesystem::path& root);
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process();

  server_report report();

  /// Has the write-behind buffer flushed, and returns the report after that.
  server_report report_flushed();

private:
  server_report ask(char command);

  child_process process_;
};

/// The main function of the server's process: prints `ready`, answers each byte on stdin (`r`: a report; `f`: flush,
/// then a report) and ends with stdin. Returns the exit status.
int run_server(server_kind kind, const std::filesystem::path& root);

} // namespace sluice::bench
