#pragma once

#include "messages/cursor.hpp"

#include <caf/expected.hpp>

#include <cstdint>

namespace sluice {

/// The bounds of one page of a cursor, and their defaults. They are fixed: a larger page would occupy one thread, and
/// one connection, for too long; smaller pages cost more round trips.
constexpr uint64_t max_cursor_page_rows = 10'000;
constexpr uint64_t max_cursor_page_bytes = 512ULL << 10;

/// The maximum number of bytes in the statement of a cursor, which uses many times its length while the cursor is open.
constexpr uint64_t max_cursor_sql_bytes = 1ULL << 20;

/// An answer to a read in pages of one snapshot, in bounded memory. Used by one thread at a time. The `database` or
/// `client` that opened it outlives it. Its destructor closes it.
///
/// It ends by itself when no page was requested for `cursor_idle`, at the age of `cursor_lifetime`, when its file is
/// replaced, and with the broker.
class cursor {
public:
  cursor() = default;
  cursor(const cursor&) = delete;
  cursor& operator=(const cursor&) = delete;
  virtual ~cursor() = default;

  /// Returns the next rows; the first call returns the first rows. Waits for them. After the last page (`is_last`) it
  /// returns empty pages that are marked as last. A row that is larger than a page is a page by itself, and one beyond
  /// `max_answer_bytes` is `errc::too_large`. After `errc::overloaded` the same page may be requested again; any other
  /// error ends the cursor: `deadline_exceeded`, `cancelled`, `file_replaced`, `unavailable` when the broker has gone,
  /// or as for reads.
  virtual caf::expected<cursor_page> next() = 0;
};

} // namespace sluice
