#pragma once

#include "messages/log.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <span>

namespace sluice {

/// The log actor's port: one file. Used by one thread at a time.
class log_store {
public:
  virtual ~log_store() = default;

  /// Appends the entries in order, in one transaction, under ids that are never reused. On error nothing was appended.
  virtual caf::expected<void> append(std::span<const log_entry> entries) = 0;

  virtual caf::expected<log_page> list(const log_query& query) = 0;

  /// Removes entries older than `before_us` (Unix microseconds); returns their number.
  virtual caf::expected<uint64_t> prune(int64_t before_us) = 0;
};

} // namespace sluice
