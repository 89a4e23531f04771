#include "actors/shared/table_versions.hpp"

#include "actors/base/case_folding.hpp"

#include <limits>

namespace sluice {

namespace {

constexpr auto in_doubt = std::numeric_limits<uint64_t>::max();

} // namespace

const table_versions::stamp& table_versions::changed_at(std::string_view table) { return find_or_add(table); }

void table_versions::begin_commit(std::span<stamp* const> tables) {
  committing_.store(true, std::memory_order_release);
  for (auto* table : tables)
    table->version_.store(in_doubt, std::memory_order_seq_cst);
}

// Returns whether answers were kept that depend on one of the tables.
bool table_versions::end_commit(std::span<stamp* const> tables, uint64_t commit_seq) {
  // The new version is published before the stamps: a reader that takes it in between sees the commit anyway.
  auto version = version_.fetch_add(1, std::memory_order_acq_rel) + 1;
  auto concerns_kept = false;
  for (auto* table : tables) {
    table->version_.store(version, std::memory_order_seq_cst);
    concerns_kept |= table->is_kept_.exchange(false, std::memory_order_seq_cst);
  }
  if (commit_seq > 0)
    set_last_commit(commit_seq);
  committing_.store(false, std::memory_order_release);
  return concerns_kept;
}

commit_window::commit_window(table_versions& versions, std::span<const std::string> tables, bool everything)
  : versions_(&versions) {
  tables_.reserve(tables.size() + 1);
  for (const auto& table : tables)
    tables_.push_back(&versions.find_or_add(table));
  if (everything)
    tables_.push_back(&versions.everything_);
  versions.begin_commit(tables_);
}

void table_versions::raise_everything() {
  auto version = version_.fetch_add(1, std::memory_order_acq_rel) + 1;
  auto seen = everything_.load();
  // A stamp of a running COMMIT stays: that commit will raise it further.
  while (seen < version && !everything_.version_.compare_exchange_weak(seen, version, std::memory_order_acq_rel)) {
  }
}

void table_versions::start_at(uint64_t commit_seq) noexcept { set_last_commit(commit_seq); }

void table_versions::set_last_commit(uint64_t commit_seq) noexcept {
  last_commit_.store(commit_seq, std::memory_order_release);
  auto highest = highest_commit_.load(std::memory_order_acquire);
  while (highest < commit_seq && !highest_commit_.compare_exchange_weak(highest, commit_seq)) {
  }
}

table_versions::stamp& table_versions::find_or_add(std::string_view table) {
  auto key = folded_name(table);
  std::lock_guard guard{mutex_};
  auto& context = stamps_[std::move(key)];
  if (!context)
    context = std::make_unique<stamp>();
  return *context;
}

} // namespace sluice
