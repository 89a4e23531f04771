#pragma once

#include "actors/cursors/cursor_store.hpp"
#include "tests/support/fake_read_store.hpp"

#include <deque>
#include <optional>
#include <utility>

namespace sluice::test {

/// The answers to the cursors of a test, in this order, and then `rows`. Outlives the stores.
struct fake_pages {
  std::deque<caf::expected<cursor_rows>> answers;
  /// The rows are the integers from 1 to this, in pages of the requested size; empty means pages of one row without
  /// end.
  std::optional<uint64_t> rows;
  uint64_t rows_answered = 0;
  uint64_t calls = 0;
  uint64_t open_stores = 0;
  cancel_token last_cancel;

  void then_fails(errc code) { answers.emplace_back(make_error(code, "a test made it fail")); }
  void then_ends() { answers.emplace_back(cursor_rows{std::make_shared<const rowset>(), true}); }
};

class fake_cursor_store : public cursor_store {
public:
  explicit fake_cursor_store(fake_pages& pages) : pages_(pages) { ++pages_.open_stores; }
  ~fake_cursor_store() override { --pages_.open_stores; }

  caf::expected<cursor_rows> next(const read_limits& limits, const cancel_token& cancel) override {
    ++pages_.calls;
    pages_.last_cancel = cancel;
    if (cancel.cancelled())
      return make_error(errc::cancelled, "the cursor was cancelled");
    if (pages_.answers.empty())
      return pages_.rows ? next_rows(limits.max_rows) : cursor_rows{one_cell(value{1}), false};
    auto result = std::move(pages_.answers.front());
    pages_.answers.pop_front();
    return result;
  }

private:
  cursor_rows next_rows(uint64_t most) {
    rowset page{std::make_shared<const rowset::column_names>(rowset::column_names{"x"})};
    for (; pages_.rows_answered < *pages_.rows && page.size() < most; ++pages_.rows_answered)
      page.append(static_cast<int64_t>(pages_.rows_answered + 1));
    return {std::make_shared<const rowset>(std::move(page)), pages_.rows_answered == *pages_.rows};
  }

  fake_pages& pages_;
};

} // namespace sluice::test
