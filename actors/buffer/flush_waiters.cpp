#include "actors/buffer/flush_waiters.hpp"

#include "actors/base/case_folding.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace sluice {

void flush_waiters::add(const std::string& table, uint64_t number, std::set<std::string> databases,
                        report_handler done) {
  assert(!databases.empty());
  waiters_.push_back({folded_name(table), number, std::move(databases), {}, std::move(done)});
}

void flush_waiters::finish(const flush_outcome& outcome, const buffered_database* db) {
  for (auto& waiting : waiters_)
    if (waiting.databases.contains(outcome.db))
      count(waiting, outcome, db ? db->pending(waiting.table, waiting.number) : 0);
  auto is_open = [](const waiter& waiting) { return !waiting.databases.empty(); };
  auto first_done = std::stable_partition(waiters_.begin(), waiters_.end(), is_open);
  std::vector<waiter> ready;
  std::move(first_done, waiters_.end(), std::back_inserter(ready));
  waiters_.erase(first_done, waiters_.end());
  for (auto& waiting : ready)
    waiting.done(waiting.report);
}

// @param left rows that still wait
void flush_waiters::count(waiter& waiting, const flush_outcome& outcome, uint64_t left) {
  auto rows = outcome.rows(waiting.table, waiting.number);
  (outcome.result == flush_outcome::verdict::written ? waiting.report.flushed : waiting.report.set_aside) += rows;
  auto was_kept = outcome.result == flush_outcome::verdict::kept;
  if (was_kept) {
    waiting.report.kept += left;
    waiting.report.reason = outcome.error.message;
  }
  if (left == 0 || was_kept)
    waiting.databases.erase(outcome.db);
}

} // namespace sluice
