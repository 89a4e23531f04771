#pragma once

#include "messages/cancel_token.hpp"
#include "messages/read.hpp"

#include <caf/expected.hpp>

#include <memory>

namespace sluice {

/// The next rows of a cursor, in the order of its query.
struct cursor_rows {
  /// Never null. Empty only if `is_last`.
  std::shared_ptr<const rowset> rows;
  /// No row follows.
  bool is_last = false;
};

/// A cursor's port: one query on a read-only connection of its own. Blocks; used by one thread at a time.
class cursor_store {
public:
  virtual ~cursor_store() = default;

  /// Answers with the next page: as many rows as fit `limits`, fewer when the query takes long to find them. A row that
  /// is larger than a page is a page by itself. All pages are of the snapshot that the first call has begun; if a call
  /// fails before any page was answered, it may be repeated and begins a new one. After the last page, calls return
  /// empty pages that are marked as last.
  ///
  /// `errc::overloaded` when the memory for answers is used up: the same page may be requested again. Any other error
  /// ends the cursor: `file_replaced` when the path leads to another file than before, `too_large` for a row beyond the
  /// bound of an answer, `deadline_exceeded` when `limits.timeout` passed without a row, `cancelled`; else as
  /// `read_store::run`.
  virtual caf::expected<cursor_rows> next(const read_limits& limits, const cancel_token& cancel) = 0;
};

} // namespace sluice
