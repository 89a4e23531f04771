#pragma once

#include "messages/read.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <string>

namespace sluice {

struct snapshot_options {
  std::string agent;
  /// The age at which the snapshot ends, from 1 ms to `cursor_lifetime`, which is also the default (zero): while it is
  /// open, the write-ahead log can only grow.
  std::chrono::milliseconds lifetime{0};
};

/// The state of a database at one moment, for reading: all queries see the same commits, and no later ones. Made by
/// `database::with_snapshot`; used by the thread of the callback, and only there.
class snapshot {
public:
  virtual ~snapshot() = default;

  /// Runs one statement that reads. `limits` as in a read; `timeout` ends with the lifetime at the latest.
  ///
  /// `invalid_request` for a statement that writes, `deadline_exceeded` when its time or the snapshot's is over,
  /// `file_replaced` when the path leads to another file than before; else as `database::read`. After `file_replaced`,
  /// and at the end of the lifetime, each query fails.
  virtual caf::expected<statement_rows> query(const sql_text& sql, const parameters& params = {},
                                              read_limits limits = {}) = 0;
};

} // namespace sluice
