#pragma once

#include "runtime/lab/bench/bench_fixture.hpp"

namespace sluice::bench {

/// A write-ahead log that another program pins: a connection of its own has a read transaction open since the log was
/// empty, so that no checkpoint can move a frame and the log can only grow. Close the database's other connections
/// first.
class pinned_log {
public:
  /// @param file a database that exists
  pinned_log(const std::filesystem::path& file, size_t megabytes);

  /// Whether the log has at most twice the size that was asked for.
  bool has_room() const;

  /// Empties the log, pins it and fills it again. Waits until it is on the disk.
  void refill();

private:
  std::filesystem::path log_;
  size_t megabytes_;
  // Closed last. It reads only, and so leaves the log as it is.
  sqlite::connection reader_;
  sqlite::connection filler_;
};

} // namespace sluice::bench
