#include "runtime/sqlite/audit/audit_gaps.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <limits>

namespace sluice::sqlite {

namespace {

constexpr int64_t last_possible = std::numeric_limits<int64_t>::max();

// The number of the first readable record from `seq` on; `last_possible` without one.
std::optional<int64_t> probe(prepared_statement& select, int64_t seq) {
  select.bind(1, seq);
  auto code = select.step_code();
  auto found = code == SQLITE_ROW ? std::optional{select.integer(0)} : std::nullopt;
  select.reset();
  return code == SQLITE_DONE ? last_possible : found;
}

// The first readable row after `bad`, which is unreadable: doubles the step until a row can be read, then bisects.
std::optional<int64_t> readable_after(prepared_statement& select, int64_t bad) {
  for (int64_t leap = 1; leap < last_possible / 4 && bad < last_possible / 4; leap *= 2) {
    auto good = bad + leap;
    auto found = probe(select, good);
    if (!found) {
      bad = good;
      continue;
    }
    while (good - bad > 1) {
      auto middle = bad + (good - bad) / 2;
      auto nearer = probe(select, middle);
      (nearer ? good : bad) = middle;
      found = nearer ? nearer : found;
    }
    return *found == last_possible ? std::nullopt : found;
  }
  return std::nullopt;
}

} // namespace

int walk_readable(prepared_statement& select, int64_t from, const row_visitor& visitor) {
  auto first_error = SQLITE_OK;
  for (auto next = std::optional{from}; next;) {
    auto key = *next;
    auto is_at_start = true;
    select.bind(1, key);
    auto code = select.step_code();
    for (; code == SQLITE_ROW; code = select.step_code()) {
      key = select.integer(0);
      is_at_start = false;
      if (!visitor.on_row(select)) {
        select.reset();
        return first_error;
      }
    }
    select.reset();
    if (code == SQLITE_DONE)
      break;
    if (first_error == SQLITE_OK)
      first_error = code;
    // No key of ours is less than 1.
    next = readable_after(select, std::max<int64_t>(is_at_start ? key : key + 1, 0));
    visitor.on_gap(next);
  }
  return first_error;
}

} // namespace sluice::sqlite
