#pragma once

#include "messages/read.hpp"

#include <caf/expected.hpp>

#include <string>

namespace sluice {

/// A reader's port: one read-only connection. Used by one thread at a time.
class read_store {
public:
  virtual ~read_store() = default;

  /// Runs one bounded query on a snapshot of its own. `limits` are the effective ones: none of them is zero.
  /// `errc::busy` as in `write_store::begin`; it does not wait past `limits.timeout`. A request that was already
  /// cancelled is not started (`errc::cancelled`). After an error the store can run the next query.
  virtual caf::expected<executed_read> run(const read_request& request, const read_limits& limits) = 0;

  /// As in `write_store`.
  virtual caf::expected<std::string> explain(const statement& query) = 0;

  /// Closes the connection; the next `run` opens it again.
  virtual void close_idle() noexcept = 0;
};

} // namespace sluice
