#pragma once

#include "actors/cursors/cursor_store.hpp"
#include "tests/support/fake_read_store.hpp"

#include <deque>
#include <utility>

namespace sluice::test {

/// The answers to the cursors of a test, in this order, and then pages of one row without end. Outlives the stores.
struct fake_pages {
  std::deque<caf::expected<cursor_rows>> answers;
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

  caf::expected<cursor_rows> next(const read_limits&, const cancel_token& cancel) override {
    ++pages_.calls;
    pages_.last_cancel = cancel;
    if (pages_.answers.empty())
      return cursor_rows{one_cell(value{1}), false};
    auto result = std::move(pages_.answers.front());
    pages_.answers.pop_front();
    return result;
  }

private:
  fake_pages& pages_;
};

} // namespace sluice::test
