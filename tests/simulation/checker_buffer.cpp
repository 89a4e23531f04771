#include "tests/simulation/checker.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace sluice::simulation {

namespace {

using maybe = std::optional<violation>;
using row = std::optional<buffered_cells>;

std::string row_text(const std::optional<buffered_cells>& found) {
  return found ? "a=" + (found->a ? std::to_string(*found->a) : "NULL") + " b=" + std::to_string(found->b) : "no row";
}

// The row after one operation that is executed at once.
row executed(const operation& op, row before) {
  if (op.erases)
    return std::nullopt;
  if (op.b && *op.b < 0)
    return before;
  auto after = before.value_or(buffered_cells{});
  if (op.a)
    after.a = op.a;
  if (op.b)
    after.b = *op.b;
  return after;
}

void add(std::vector<row>& to, const row& row) {
  if (std::find(to.begin(), to.end(), row) == to.end())
    to.push_back(row);
}

// Whether a flush that began after this operation was accepted, and ended before the loss, has written it.
bool was_saved(const history& seen, const put_attempt& attempt, uint64_t loss) {
  return std::any_of(seen.flushes.begin(), seen.flushes.end(), [&](const flush_attempt& flush) {
    return flush.fate == fate::done && flush.report.kept == 0 && flush.began > attempt.ended && flush.ended < loss;
  });
}

bool may_be_lost(const settings& set, const history& seen, const put_attempt& attempt) {
  const auto& known = seen.databases[attempt.planned.db];
  auto is_later = [&](uint64_t event) { return event > attempt.began; };
  if (attempt.fate != fate::done
      || std::any_of(known.restores.begin(), known.restores.end(), [&](const auto& r) { return is_later(r.event); })
      || std::any_of(known.log_losses.begin(), known.log_losses.end(), is_later))
    return true;
  auto loses = [&](uint64_t loss) { return loss > attempt.began && !was_saved(seen, attempt, loss); };
  const auto& cuts = seen.power_losses;
  // Without fsync, written rows may be lost as well.
  if (set.normal ? std::any_of(cuts.begin(), cuts.end(), is_later) : std::any_of(cuts.begin(), cuts.end(), loses))
    return true;
  return !set.journal && std::any_of(seen.buffer_losses.begin(), seen.buffer_losses.end(), loses);
}

} // namespace

maybe check_buffer(const settings& set, const history& seen, uint32_t db, const database_content& found) {
  std::map<int64_t, std::vector<const put_attempt*>> by_row;
  for (const auto& put : seen.puts)
    if (put.planned.db == db && put.fate != fate::refused)
      by_row[put.planned.argument].push_back(&put);
  for (auto& [id, puts] : by_row) {
    std::sort(puts.begin(), puts.end(), [](auto* a, auto* b) { return a->began < b->began; });
    std::vector<row> possible{std::nullopt};
    for (const auto* each : puts) {
      std::vector<row> next;
      for (const auto& before : possible) {
        add(next, executed(each->planned, before));
        if (may_be_lost(set, seen, *each))
          add(next, before);
      }
      possible = std::move(next);
    }
    auto stored = found.rows.find(id);
    auto now = stored == found.rows.end() ? row{} : row{stored->second};
    if (std::find(possible.begin(), possible.end(), now) == possible.end())
      return violation{"buffered rows equal their operations, applied in order",
                       "row " + std::to_string(id) + " of " + database_names[db] + " has " + row_text(now)
                         + ", and not " + row_text(possible.front())};
  }
  for (const auto& [id, cells] : found.rows)
    if (by_row.count(id) == 0)
      return violation{"buffered rows equal their operations, applied in order",
                       "row " + std::to_string(id) + " is there, and nobody has put it"};
  return {};
}

} // namespace sluice::simulation
