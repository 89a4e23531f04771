#pragma once

#include "messages/cursor.hpp"

#include <caf/expected.hpp>

#include <cstdint>

namespace sluice {

/// Bounds of one page of a cursor, and their defaults. Fixed: a page that is larger takes longer to make and to send
/// than one thread, or one connection, is to be taken for; smaller ones cost a round trip more often.
constexpr uint64_t max_cursor_page_rows = 10'000;
constexpr uint64_t max_cursor_page_bytes = 512ULL << 10;

/// The most bytes that the statement of a cursor may have, which takes many times its length as long as the cursor is
/// open.
constexpr uint64_t max_cursor_sql_bytes = 1ULL << 20;

/// An answer to a read that comes page by page, all of one snapshot, in bounded memory. Used by one thread at a time.
/// The `database` or `client` that opened it outlives it. Destroying it closes it.
///
/// It ends by itself when it is not asked for a page for `cursor_idle`, at the age of `cursor_lifetime`, when its file
/// is replaced, and with the broker.
class cursor {
public:
  cursor() = default;
  cursor(const cursor&) = delete;
  cursor& operator=(const cursor&) = delete;
  virtual ~cursor() = default;

  /// The next rows, the first ones at first; waits for them. Behind the last page (`is_last`) come empty ones that say
  /// the same. A row that is larger than a page is a page by itself, and one beyond `max_answer_bytes` is
  /// `errc::too_large`. After `errc::overloaded` the same page may be asked for again; any other error ends the cursor:
  /// `deadline_exceeded`, `cancelled`, `file_replaced`, `unavailable` when the broker has gone, or as for reads.
  virtual caf::expected<cursor_page> next() = 0;
};

} // namespace sluice
