#include "actors/buffer/row_queue.hpp"

#include "actors/base/sql_tokens.hpp"

#include <algorithm>
#include <cassert>
#include <functional>

namespace sluice {

namespace {

// No operation is merged into a row beyond this size, so that a merged row is not too large where its parts were not.
constexpr size_t max_merged_bytes = 1U << 20U;

// Connected tables share this lane; no other has an empty name. Never destroyed: brokers that are static objects use it
// until their end.
const auto& shared_lane = *new std::string;

std::string own_lane(const std::string& table) { return "=" + folded_name(table); }

size_t cell_hash(const value& cell) noexcept {
  if (cell.integer())
    return std::hash<int64_t>{}(*cell.integer());
  if (cell.real())
    return std::hash<double>{}(*cell.real());
  const auto* bytes = cell.text() ? cell.text() : cell.blob_bytes();
  return bytes ? std::hash<std::string>{}(*bytes) : 0;
}

} // namespace

bool same_columns(const std::vector<named_value>& a, const std::vector<named_value>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](auto& x, auto& y) { return x.name == y.name; });
}

size_t row_queue::key_hash::operator()(const std::vector<named_value>& key) const noexcept {
  size_t result = 0;
  for (const auto& column : key)
    result = result * 31 + cell_hash(column.content);
  return result;
}

// The index of the row that the operation may be merged into.
std::optional<size_t> row_queue::lane::place_to_merge(const checked_operation& operation) const {
  if (!operation.is_mergeable)
    return std::nullopt;
  auto found = open.find(operation.put.row.columns);
  if (found == open.end())
    return std::nullopt;
  auto place = found->second - taken;
  auto fits = rows[place].footprint() + sluice::footprint(operation.put) <= max_merged_bytes;
  return fits ? std::optional{place} : std::nullopt;
}

bool row_queue::lane::add(checked_operation operation, uint64_t number, clock::steady now) {
  if (auto place = place_to_merge(operation)) {
    auto& row = rows[*place];
    bytes -= row.footprint();
    row.merge(std::move(operation));
    bytes += row.footprint();
    return true;
  }
  // The same row may have two keys.
  if (!operation.is_mergeable || (!open.empty() && !same_columns(open.begin()->first, operation.put.row.columns)))
    open.clear();
  if (operation.is_mergeable)
    open[operation.put.row.columns] = taken + rows.size();
  bytes += rows.emplace_back(std::move(operation), number, now).footprint();
  return false;
}

pending_row row_queue::lane::pop() {
  assert(!rows.empty());
  auto row = std::move(rows.front());
  rows.pop_front();
  bytes -= row.footprint();
  auto found = open.find(row.key().columns);
  if (found != open.end() && found->second == taken)
    open.erase(found);
  ++taken;
  return row;
}

bool row_queue::lane::is_due(const demand& wanted) const {
  if (rows.empty())
    return false;
  const auto& first = rows.front();
  return wanted.everything || first.number() <= wanted_number || first.since() + interval <= wanted.now;
}

const pending_row* row_queue::lane::first_of(const std::string& table) const {
  auto found = std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.key().table == table; });
  return found == rows.end() ? nullptr : &*found;
}

std::string row_queue::spelling_of(const std::string& table) const {
  auto found = tables_.find(folded_name(table));
  return found == tables_.end() ? table : found->second.name;
}

std::string row_queue::lane_of(const std::string& table, bool keeps_order) const {
  // A table whose schema has changed stays in its lane until none of its rows wait, so that their order is kept.
  auto waits_in = [&](const std::string& name) {
    auto found = lanes_.find(name);
    return found != lanes_.end() && found->second.first_of(table);
  };
  auto table_lane = own_lane(table);
  if (keeps_order)
    return waits_in(table_lane) ? table_lane : shared_lane;
  return waits_in(shared_lane) ? shared_lane : table_lane;
}

bool row_queue::would_merge(const checked_operation& operation) const {
  auto found = lanes_.find(lane_of(spelling_of(operation.put.row.table), operation.keeps_order));
  return found != lanes_.end() && found->second.place_to_merge(operation);
}

row_queue::known_table& row_queue::known(const std::string& table, const buffered_table_rules& rules) {
  auto [i, added] = tables_.try_emplace(folded_name(table));
  if (added) {
    i->second.name = table;
    i->second.interval = rules.interval;
    i->second.priority = rules.priority;
  }
  return i->second;
}

bool row_queue::add(checked_operation operation, uint64_t number, clock::steady now,
                    const buffered_table_rules& rules) {
  auto& known_entry = known(operation.put.row.table, rules);
  operation.put.row.table = known_entry.name;
  auto name = lane_of(known_entry.name, operation.keeps_order);
  auto& queue = lanes_[name];
  queue.interval = std::min(queue.interval, known_entry.interval);
  queue.priority = std::max(queue.priority, known_entry.priority);
  // In the shared lane, equal keys may be of different tables.
  operation.is_mergeable = operation.is_mergeable && name != shared_lane;
  if (queue.add(std::move(operation), number, now))
    return true;
  ++pending_;
  if (known_entry.pending++ == 0)
    known_entry.oldest = now;
  return false;
}

std::vector<row_queue::lane*> row_queue::due_lanes(const demand& wanted) {
  std::vector<lane*> due;
  for (auto& [name, queue] : lanes_)
    if (queue.is_due(wanted))
      due.push_back(&queue);
  // A lane that has waited twice its interval goes first, so that a table of high priority cannot hold up the others
  // for ever.
  auto urgency = [&](const lane* queue) {
    auto is_late = queue->rows.front().since() + 2 * queue->interval <= wanted.now;
    return is_late ? std::numeric_limits<int64_t>::max() : queue->priority;
  };
  std::stable_sort(due.begin(), due.end(), [&](const lane* a, const lane* b) {
    auto urgency_a = urgency(a);
    auto urgency_b = urgency(b);
    return urgency_a != urgency_b ? urgency_a > urgency_b : a->rows.front().number() < b->rows.front().number();
  });
  return due;
}

std::vector<outgoing_operation> row_queue::take(const demand& wanted) {
  std::vector<outgoing_operation> result;
  size_t row_count = 0;
  size_t bytes = 0;
  for (auto* queue : due_lanes(wanted))
    while (!queue->rows.empty() && row_count < wanted.max_rows && bytes < wanted.max_bytes) {
      auto needs_own_batch = queue->rows.front().needs_own_batch();
      if (needs_own_batch && !result.empty())
        break;
      bytes += queue->rows.front().footprint();
      ++row_count;
      for (auto& operation : queue->pop().take())
        result.push_back(std::move(operation));
      if (needs_own_batch)
        return result;
    }
  return result;
}

void row_queue::complete(const outgoing_operation& operation) {
  if (!operation.ends_row)
    return;
  auto found = tables_.find(folded_name(operation.put.row.table));
  assert(found != tables_.end() && found->second.pending > 0);
  --pending_;
  if (--found->second.pending == 0)
    return;
  const auto& name = found->second.name;
  for (const auto& queue : {lanes_.find(own_lane(name)), lanes_.find(shared_lane)})
    if (queue != lanes_.end())
      if (const auto* row = queue->second.first_of(name)) {
        found->second.oldest = row->since();
        return;
      }
}

void row_queue::count_under_way(const outgoing_operation& operation, const buffered_table_rules& rules) {
  ++pending_;
  auto& known_entry = known(operation.put.row.table, rules);
  if (known_entry.pending++ == 0)
    known_entry.oldest = operation.since;
}

void row_queue::want(const std::string& table, uint64_t number) {
  auto name = spelling_of(table);
  for (auto& [lane_name, queue] : lanes_)
    if (table.empty() || queue.first_of(name))
      queue.wanted_number = std::max(queue.wanted_number, number);
}

clock::steady row_queue::next_due() const {
  auto result = clock::steady::max();
  for (const auto& [name, queue] : lanes_)
    if (!queue.rows.empty())
      result = std::min(result, queue.rows.front().since() + queue.interval);
  return result;
}

uint64_t row_queue::size() const noexcept {
  uint64_t result = 0;
  for (const auto& [name, queue] : lanes_)
    result += queue.rows.size();
  return result;
}

size_t row_queue::footprint() const noexcept {
  size_t result = 0;
  for (const auto& [name, queue] : lanes_)
    result += queue.bytes;
  return result;
}

uint64_t row_queue::count(const std::string& table, uint64_t number) const {
  auto name = spelling_of(table);
  uint64_t result = 0;
  for_each_row([&](const pending_row& row) {
    if (row.number() <= number && (table.empty() || row.key().table == name))
      ++result;
  });
  return result;
}

} // namespace sluice
