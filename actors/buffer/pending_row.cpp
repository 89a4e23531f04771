#include "actors/buffer/pending_row.hpp"

#include <algorithm>
#include <cassert>

namespace sluice {

namespace {

using named_values = std::vector<named_value>;

auto place_of(named_values& in, const std::string& name) {
  return std::lower_bound(in.begin(), in.end(), name,
                          [](const auto& column, const auto& wanted) { return column.name < wanted; });
}

// Both are sorted by name; the values in `from` take precedence.
void assign(named_values& to, named_values from) {
  for (auto& column : from) {
    auto at = place_of(to, column.name);
    if (at != to.end() && at->name == column.name)
      at->content = std::move(column.content);
    else
      to.insert(at, std::move(column));
  }
}

void remove(named_values& from, const named_values& names) {
  std::erase_if(from, [&](const auto& column) {
    return std::any_of(names.begin(), names.end(), [&](const auto& other) { return other.name == column.name; });
  });
}

size_t weight_of(const named_values& columns) noexcept {
  return columns.size() * sizeof(named_value) + footprint(columns);
}

} // namespace

void add(std::vector<contribution>& to, const contribution& other) {
  auto same = [&](const contribution& known) {
    return known.agent == other.agent && known.peer.uid == other.peer.uid && known.peer.pid == other.peer.pid;
  };
  if (auto found = std::find_if(to.begin(), to.end(), same); found != to.end())
    found->count += other.count;
  else
    to.push_back(other);
}

size_t footprint(const buffer_put& operation) noexcept {
  return sizeof(buffer_put) + weight_of(operation.row.columns) + weight_of(operation.values);
}

void row_image::apply(const buffer_put& operation) {
  if (operation.operation == buffer_operation::erase) {
    found = false;
    columns.clear();
    return;
  }
  if (!found && operation.operation == buffer_operation::update)
    return;
  if (!std::exchange(found, true))
    for (const auto& [name, content] : operation.row.columns)
      columns[name] = {content, true};
  for (const auto& [name, content] : operation.values)
    columns[name] = {content, true};
}

pending_row::pending_row(checked_operation first, uint64_t number, clock::steady since)
  : key_(std::move(first.put.row)), from_{{first.put.agent, first.put.peer, 1}}, number_(number), since_(since),
    is_mergeable_(first.is_mergeable), needs_own_batch_(first.needs_own_batch), keeps_order_(first.keeps_order) {
  if (first.seq != 0)
    journal_.push_back(first.seq);
  absorb(first.put.operation, std::move(first.put.values));
}

void pending_row::merge(checked_operation next) {
  assert(is_mergeable_ && next.is_mergeable);
  add(from_, {next.put.agent, next.put.peer, 1});
  if (next.seq != 0)
    journal_.push_back(next.seq);
  ++operations_;
  absorb(next.put.operation, std::move(next.put.values));
}

void pending_row::absorb(buffer_operation kind, columns values) {
  switch (kind) {
  case buffer_operation::erase:
    erased_ = true;
    updated_.clear();
    upserted_.reset();
    break;
  case buffer_operation::update:
    if (upserted_)
      // The row exists when the update is executed.
      assign(*upserted_, std::move(values));
    else if (!erased_)
      assign(updated_, std::move(values));
    // Otherwise there is no row to update.
    break;
  case buffer_operation::upsert:
    // The update must not affect a row that the upsert inserts, so both operations stay; but values that the upsert
    // overwrites need not be set.
    remove(updated_, values);
    if (!upserted_)
      upserted_.emplace();
    assign(*upserted_, std::move(values));
    break;
  }
  weigh();
}

void pending_row::weigh() {
  bytes_ = sizeof(pending_row) + weight_of(key_.columns) + weight_of(updated_);
  if (upserted_)
    bytes_ += weight_of(*upserted_);
}

std::vector<buffer_put> pending_row::puts() const {
  std::vector<buffer_put> result;
  auto put = [&](buffer_operation kind, const columns& values) {
    auto& operation = result.emplace_back();
    operation.row = key_;
    operation.operation = kind;
    operation.values = values;
    operation.agent = from_.back().agent;
    operation.peer = from_.back().peer;
  };
  if (erased_)
    put(buffer_operation::erase, {});
  if (!updated_.empty())
    put(buffer_operation::update, updated_);
  if (upserted_)
    put(buffer_operation::upsert, *upserted_);
  return result;
}

std::vector<outgoing_operation> pending_row::take() {
  std::vector<outgoing_operation> result;
  for (auto& operation : puts())
    result.push_back({std::move(operation), {}, {}, number_, since_, false, is_mergeable_, keeps_order_});
  // If only the first part is written before a crash, everything is executed again, with the same result.
  result.back().from = std::move(from_);
  result.back().journal = std::move(journal_);
  result.back().ends_row = true;
  return result;
}

void pending_row::apply(row_image& to) const {
  for (const auto& operation : puts())
    to.apply(operation);
}

} // namespace sluice
