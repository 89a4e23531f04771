#include "actors/buffer/row_queue.hpp"

#include <algorithm>
#include <functional>

namespace sluice {

namespace {

// A row that grows beyond this is not merged into, so that no merged row is too large where its parts were not.
constexpr size_t merge_at_most = 1U << 20U;

size_t cell_hash(const value& x) noexcept {
  if (x.integer())
    return std::hash<int64_t>{}(*x.integer());
  if (x.real())
    return std::hash<double>{}(*x.real());
  const auto* bytes = x.text() ? x.text() : x.blob_bytes();
  return bytes ? std::hash<std::string>{}(*bytes) : 0;
}

} // namespace

bool same_columns(const std::vector<named_value>& a, const std::vector<named_value>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](auto& x, auto& y) { return x.name == y.name; });
}

size_t row_queue::hash::operator()(const std::vector<named_value>& key) const noexcept {
  size_t result = 0;
  for (const auto& x : key)
    result = result * 31 + cell_hash(x.content);
  return result;
}

pending_row* row_queue::find(const checked_operation& x) {
  if (!x.is_mergeable)
    return nullptr;
  auto found = open_.find(x.put.row.columns);
  if (found == open_.end())
    return nullptr;
  auto& row = rows_[found->second - taken_];
  return row.footprint() + sluice::footprint(x.put) <= merge_at_most ? &row : nullptr;
}

bool row_queue::would_merge(const checked_operation& x) const { return const_cast<row_queue*>(this)->find(x); }

bool row_queue::add(checked_operation x, uint64_t number, clock::steady now) {
  if (auto* row = find(x)) {
    bytes_ -= row->footprint();
    row->merge(std::move(x));
    bytes_ += row->footprint();
    return true;
  }
  // The same row may have two keys.
  if (!x.is_mergeable || (!open_.empty() && !same_columns(open_.begin()->first, x.put.row.columns)))
    open_.clear();
  auto place = taken_ + rows_.size();
  if (x.is_mergeable)
    open_[x.put.row.columns] = place;
  else
    ++fixed_;
  auto& row = rows_.emplace_back(std::move(x), number, now);
  bytes_ += row.footprint();
  return false;
}

pending_row row_queue::pop() {
  auto row = std::move(rows_.front());
  rows_.pop_front();
  bytes_ -= row.footprint();
  if (!row.is_mergeable())
    --fixed_;
  auto found = open_.find(row.key().columns);
  if (found != open_.end() && found->second == taken_)
    open_.erase(found);
  ++taken_;
  return row;
}

} // namespace sluice
