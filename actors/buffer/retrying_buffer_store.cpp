#include "actors/buffer/retrying_buffer_store.hpp"

#include "messages/error.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>

namespace sluice {

namespace {

// A number that no file reaches, and that is exact in JSON.
constexpr uint64_t first_unstored_id = uint64_t{1} << 52U;

std::vector<uint64_t> stored_among(const std::vector<uint64_t>& ids) {
  std::vector<uint64_t> result;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(result), [](auto id) { return id < first_unstored_id; });
  return result;
}

} // namespace

retrying_buffer_store::retrying_buffer_store(std::unique_ptr<buffer_store> store)
  : store_(std::move(store)), next_id_(first_unstored_id) {
  recount();
}

void retrying_buffer_store::recount() {
  if (auto count = store_->count_rejected())
    stored_ = *count;
}

caf::error retrying_buffer_store::catch_up() {
  auto refused = [this](caf::error error) {
    trouble_ = describe(error).message;
    return error;
  };
  if (!unstored_.empty()) {
    std::vector<rejected_row> rows;
    for (const auto& [id, row] : unstored_)
      rows.push_back(row);
    if (auto first = store_->reject(rows); !first)
      return refused(std::move(first.error()));
    stored_ += rows.size();
    unstored_.clear();
  }
  // The batches are removed after the rejected rows are stored: the journal keeps an operation until it is stored
  // elsewhere.
  while (!to_forget_.empty()) {
    const auto& [key, done] = to_forget_.front();
    auto forgotten = done ? store_->end_batch(key) : store_->abandon_batch(key);
    if (!forgotten)
      return refused(std::move(forgotten.error()));
    to_forget_.erase(to_forget_.begin());
  }
  trouble_.clear();
  return {};
}

caf::expected<void> retrying_buffer_store::begin(const journal_batch& batch) {
  if (auto error = catch_up())
    return error;
  return store_->begin_batch(batch);
}

void retrying_buffer_store::end(const std::string& key) {
  to_forget_.emplace_back(key, true);
  static_cast<void>(catch_up());
}

void retrying_buffer_store::abandon(const std::string& key) {
  to_forget_.emplace_back(key, false);
  static_cast<void>(catch_up());
}

void retrying_buffer_store::reject(std::vector<rejected_row> rows) {
  for (auto& row : rows) {
    row.id = next_id_++;
    unstored_.emplace(row.id, std::move(row));
  }
  static_cast<void>(catch_up());
}

caf::expected<rejected_page> retrying_buffer_store::list(const rejected_query& query) {
  static_cast<void>(catch_up());
  auto page = store_->rejected(query);
  if (!page && unstored_.empty())
    return page;
  auto result = page ? std::move(*page) : rejected_page{};
  for (auto i = unstored_.upper_bound(query.after_id); i != unstored_.end() && result.rows.size() < query.limit; ++i)
    result.rows.push_back(i->second);
  return result;
}

caf::expected<std::vector<rejected_row>> retrying_buffer_store::take(const std::vector<uint64_t>& ids) {
  static_cast<void>(catch_up());
  auto stored = stored_among(ids);
  std::vector<rejected_row> result;
  if (ids.empty() || !stored.empty()) {
    auto taken = store_->take_rejected(stored);
    if (!taken && unstored_.empty())
      return taken;
    if (taken)
      result = std::move(*taken);
  }
  recount();
  std::erase_if(unstored_, [&](auto& row) {
    auto wanted = ids.empty() || std::find(ids.begin(), ids.end(), row.first) != ids.end();
    if (wanted)
      result.push_back(std::move(row.second));
    return wanted;
  });
  return result;
}

caf::expected<uint64_t> retrying_buffer_store::requeue(const std::vector<uint64_t>& ids,
                                                       std::span<const buffer_put> operations) {
  assert(
    std::all_of(ids.begin(), ids.end(), [this](auto id) { return id < first_unstored_id || unstored_.contains(id); }));
  auto first = store_->requeue(stored_among(ids), operations);
  if (!first)
    return first;
  recount();
  for (auto id : ids)
    unstored_.erase(id);
  return first;
}

} // namespace sluice
