#pragma once

#include "messages/inspection.hpp"
#include "messages/read.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace sluice {

/// Opens a cursor: reads the answer to one statement page by page, on one snapshot. `request.limits` are the effective
/// bounds of each page and of its time. Answered with the first page.
struct open_cursor {
  read_request request;
  /// The newest commit when the cursor was requested; the rows include it.
  uint64_t as_of_seq = 0;
  /// Derived from `request.cancel`; cancelled by the broker when the cursor has ended. Local to the process.
  cancel_token ended;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, open_cursor& x) {
  return f(caf::meta::type_name("open_cursor"), x.request, x.as_of_seq);
}
SLUICE_DECLARE_INSPECT(open_cursor)

/// Asks for the next page of a cursor, one at a time.
struct next_page {
  uint64_t cursor = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, next_page& x) {
  return f(caf::meta::type_name("next_page"), x.cursor);
}
SLUICE_DECLARE_INSPECT(next_page)

/// Ends a cursor.
struct close_cursor {
  uint64_t cursor = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, close_cursor& x) {
  return f(caf::meta::type_name("close_cursor"), x.cursor);
}
SLUICE_DECLARE_INSPECT(close_cursor)

/// Ends all cursors of a database; a later request for a page of one of them fails with `why`.
struct end_cursors {
  std::string db;
  failure why;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, end_cursors& x) {
  return f(caf::meta::type_name("end_cursors"), x.db, x.why);
}
SLUICE_DECLARE_INSPECT(end_cursors)

/// Some rows of a cursor; like those of a read they are shared and immutable.
struct cursor_page {
  /// Unique over all brokers of a store.
  uint64_t cursor = 0;
  /// Never null. Empty only if `is_last`.
  std::shared_ptr<const rowset> rows;
  /// No row follows, and the cursor has ended.
  bool is_last = false;
  /// A commit that the rows of all pages include, together with all before it; they may include later ones.
  uint64_t as_of_seq = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, cursor_page& x) {
  auto rows = x.rows ? *x.rows : rowset{};
  auto load = [&]() -> caf::error {
    x.rows = std::make_shared<const rowset>(std::move(rows));
    return caf::none;
  };
  return f(caf::meta::type_name("cursor_page"), x.cursor, rows, x.is_last, x.as_of_seq, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(cursor_page)

/// Asks a cursor's reader for the next page. The time-out counts from when the reader begins.
struct run_page {
  uint64_t cursor = 0;
  read_limits limits;
  /// Local to the process.
  cancel_token cancel;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, run_page& x) {
  return f(caf::meta::type_name("run_page"), x.cursor, x.limits);
}
SLUICE_DECLARE_INSPECT(run_page)

/// The outcome of `run_page`.
struct page_done {
  cursor_page page;
  /// Set when there is no page.
  caf::error error;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, page_done& x) {
  return f(caf::meta::type_name("page_done"), x.page, x.error);
}
SLUICE_DECLARE_INSPECT(page_done)

} // namespace sluice
