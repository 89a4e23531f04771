#pragma once

#include "runtime/lab/bench/resource_usage.hpp"

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace sluice::bench {

/// A child process with pipes to its stdin and from its stdout. Errors end the benchmark with an exception. The child
/// is killed, if it still runs, and waited for at the end.
class child_process {
public:
  explicit child_process(const std::vector<std::string>& command);
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;
  ~child_process();

  void write(std::string_view text);

  /// Reads exactly so many bytes of its output.
  void read_exactly(void* to, size_t size);

  /// Closes the child's stdin.
  void close_input() noexcept;

  /// Waits for its end and returns its exit status; its output is dropped.
  int wait();

  /// The resources that the child used, without the bytes that it wrote. @pre `wait` was called
  const resource_usage& used() const noexcept { return used_; }

private:
  pid_t pid_ = -1;
  resource_usage used_{.has_written_bytes = false};
  int in_ = -1;
  int out_ = -1;
};

} // namespace sluice::bench
