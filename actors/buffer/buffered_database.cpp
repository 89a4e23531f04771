#include "actors/buffer/buffered_database.hpp"

#include "actors/base/sql_tokens.hpp"

#include <algorithm>

namespace sluice {

namespace {

// Tables that are tied together share this one; no other has an empty name.
// Never destroyed: brokers that are static objects use it until their end.
const auto& tied_lane = *new std::string;

std::string own_lane(const std::string& table) { return "=" + folded_name(table); }

} // namespace

std::string buffered_database::spelling_of(const std::string& name) const {
  auto found = tables_.find(folded_name(name));
  return found == tables_.end() ? name : found->second.name;
}

bool buffered_database::queue::due(const demand& x) const {
  if (rows.empty())
    return false;
  return x.everything || rows.front().number() <= wanted || rows.front().since() + interval <= x.now;
}

const pending_row* buffered_database::queue::first_of(const std::string& table) const {
  const auto& all = rows.rows();
  auto found = std::find_if(all.begin(), all.end(), [&](const auto& x) { return x.key().table == table; });
  return found == all.end() ? nullptr : &*found;
}

std::string buffered_database::lane_of(const std::string& table, bool keeps_order) const {
  // A table whose schema has changed stays where it is until nothing of it waits, so that its order is kept.
  auto waits_in = [&](const std::string& name) {
    auto found = lanes_.find(name);
    return found != lanes_.end() && found->second.first_of(table);
  };
  auto own = own_lane(table);
  if (keeps_order)
    return waits_in(own) ? own : tied_lane;
  return waits_in(tied_lane) ? tied_lane : own;
}

bool buffered_database::would_merge(const checked_operation& x) const {
  auto found = lanes_.find(lane_of(spelling_of(x.put.row.table), x.keeps_order));
  return found != lanes_.end() && found->second.rows.would_merge(x);
}

buffered_database::known_table& buffered_database::known(const std::string& name, const buffered_table_rules& rules) {
  auto [i, added] = tables_.try_emplace(folded_name(name));
  if (added) {
    i->second.name = name;
    i->second.interval = rules.interval;
    i->second.priority = rules.priority;
  }
  return i->second;
}

bool buffered_database::add(checked_operation x, uint64_t number, clock::steady now,
                            const buffered_table_rules& rules) {
  auto& own = known(x.put.row.table, rules);
  x.put.row.table = own.name;
  auto name = lane_of(own.name, x.keeps_order);
  auto& lane = lanes_[name];
  lane.interval = std::min(lane.interval, own.interval);
  lane.priority = std::max(lane.priority, own.priority);
  // Among several tables a row is not told by its key alone.
  x.is_mergeable = x.is_mergeable && name != tied_lane;
  if (lane.rows.add(std::move(x), number, now))
    return true;
  ++pending_;
  if (own.pending++ == 0)
    own.oldest = now;
  return false;
}

std::vector<outgoing_operation> buffered_database::take(const demand& what) {
  std::vector<queue*> due;
  for (auto& [name, x] : lanes_)
    if (x.due(what))
      due.push_back(&x);
  // Whoever has waited twice the time goes first, so that a table of high priority cannot hold up the others for ever.
  auto urgency = [&](const queue* x) {
    auto late = x->rows.front().since() + 2 * x->interval <= what.now;
    return late ? std::numeric_limits<int64_t>::max() : x->priority;
  };
  std::stable_sort(due.begin(), due.end(), [&](const queue* a, const queue* b) {
    auto ua = urgency(a);
    auto ub = urgency(b);
    return ua != ub ? ua > ub : a->rows.front().number() < b->rows.front().number();
  });
  std::vector<outgoing_operation> result;
  size_t rows = 0;
  size_t bytes = 0;
  for (auto* x : due)
    while (!x->rows.empty() && rows < what.max_operations && bytes < what.max_bytes) {
      auto needs_own_batch = x->rows.front().needs_own_batch();
      if (needs_own_batch && !result.empty())
        break;
      bytes += x->rows.front().footprint();
      ++rows;
      for (auto& operation : x->rows.pop().take())
        result.push_back(std::move(operation));
      if (needs_own_batch)
        return result;
    }
  return result;
}

void buffered_database::complete(const outgoing_operation& x) {
  if (!x.ends_row)
    return;
  auto found = tables_.find(folded_name(x.put.row.table));
  --pending_;
  if (--found->second.pending == 0)
    return;
  const auto& name = found->second.name;
  for (const auto& lane : {lanes_.find(own_lane(name)), lanes_.find(tied_lane)})
    if (lane != lanes_.end())
      if (const auto* row = lane->second.first_of(name)) {
        found->second.oldest = row->since();
        return;
      }
}

void buffered_database::count_under_way(const outgoing_operation& x, const buffered_table_rules& rules) {
  ++pending_;
  auto& own = known(x.put.row.table, rules);
  if (own.pending++ == 0)
    own.oldest = x.since;
}

void buffered_database::want(const std::string& table, uint64_t number) {
  auto name = spelling_of(table);
  for (auto& [key, lane] : lanes_)
    if (table.empty() || lane.first_of(name))
      lane.wanted = std::max(lane.wanted, number);
}

clock::steady buffered_database::next_due() const {
  auto result = clock::steady::max();
  for (const auto& [name, lane] : lanes_)
    if (!lane.rows.empty())
      result = std::min(result, lane.rows.front().since() + lane.interval);
  return result;
}

uint64_t buffered_database::queued() const noexcept {
  uint64_t result = 0;
  for (const auto& [name, lane] : lanes_)
    result += lane.rows.size();
  return result;
}

size_t buffered_database::footprint() const noexcept {
  size_t result = 0;
  for (const auto& [name, lane] : lanes_)
    result += lane.rows.footprint();
  return result;
}

uint64_t buffered_database::queued(const std::string& table, uint64_t number) const {
  auto name = spelling_of(table);
  uint64_t result = 0;
  for (const auto& [key, lane] : lanes_)
    for (const auto& row : lane.rows.rows())
      if (row.number() <= number && (table.empty() || row.key().table == name))
        ++result;
  return result;
}

} // namespace sluice
