#include "runtime/sqlite/ledger/ledger_pruning.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/chain_check.hpp"
#include "runtime/sqlite/ledger/ledger_meta.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace sluice::sqlite {

namespace {

// The bound on one transaction, during which the writer does nothing else.
constexpr uint64_t max_removed = 1'000;
constexpr uint64_t max_measured = 20'000;

// The bytes of a record besides its variable parts: its own hash, number, time, and SQLite's overhead.
constexpr uint64_t fixed_bytes = 60;

} // namespace

// The end of the records that may be removed.
struct ledger_pruning::oldest_records {
  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t last_seq = 0;
  std::string last_hash;
  uint64_t broken_before_epoch = 0;
  std::optional<chain_anchor> anchor;
  bool has_more = false;
};

// Returns whether the bytes of all records are known; otherwise it has measured some more.
caf::expected<bool> ledger_pruning::measure() {
  auto stmt = prepared_statement::prepare(
    db_, "SELECT count(*), total(bytes), max(commit_seq) FROM (SELECT commit_seq, length(prev_hash) + length(requests) "
         "AS bytes FROM _sluice_commits WHERE commit_seq > ?1 ORDER BY commit_seq LIMIT ?2)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, static_cast<int64_t>(measured_until_));
  stmt->bind(2, static_cast<int64_t>(max_measured));
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  auto count = static_cast<uint64_t>(stmt->integer(0));
  if (count > 0) {
    measured_bytes_ += static_cast<uint64_t>(stmt->integer(1)) + count * fixed_bytes;
    measured_until_ = static_cast<uint64_t>(stmt->integer(2));
  }
  return count < max_measured;
}

caf::expected<ledger_pruning::oldest_records> ledger_pruning::find(const ledger_epoch& epoch, const limits& keep) {
  oldest_records found;
  auto anchor = read_ledger_anchor(db_);
  if (!anchor)
    return std::move(anchor.error());
  found.anchor = std::move(*anchor);
  // A new signature would hide a manipulation of the old anchor.
  if (auto doubt = found.anchor ? doubt_about_ledger(*found.anchor, settings_.key_file) : std::string{}; !doubt.empty())
    return ledger_damaged("the anchor behind which it begins " + doubt);
  auto before_us = settings_.age.count() > 0 ? wall_us(time_) - settings_.age.count() : 0;
  auto excess = settings_.max_bytes > 0 && measured_bytes_ > settings_.max_bytes ? measured_bytes_ - settings_.max_bytes
                                                                                 : uint64_t{0};
  auto stmt = prepared_statement::prepare(db_, "SELECT " + std::string{commit_columns}
                                                 + ", length(c.prev_hash) FROM _sluice_commits c "
                                                   "WHERE c.commit_seq < ?1 ORDER BY c.commit_seq LIMIT ?2");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, static_cast<int64_t>(keep.first_kept));
  stmt->bind(2, static_cast<int64_t>(max_removed));
  ledger_chain_check check{epoch, found.anchor};
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      break;
    auto seq = static_cast<uint64_t>(stmt->integer(0));
    if ((stmt->integer(1) >= before_us && found.bytes >= excess) || keep.is_kept(seq, stmt->integer(1), stmt->blob(4)))
      break;
    check.next(*stmt);
    if (check.broken_in_epoch() > 0)
      return ledger_damaged("commit " + std::to_string(seq) + ", which is old enough to be removed, is broken");
    ++found.count;
    found.bytes += static_cast<uint64_t>(stmt->integer(5)) + stmt->blob(4).size() + fixed_bytes;
    found.last_seq = seq;
  }
  found.last_hash = check.last_hash();
  found.broken_before_epoch = check.broken_before_epoch();
  found.has_more = found.count == max_removed;
  return found;
}

caf::expected<void> ledger_pruning::remove_until(const oldest_records& found) {
  auto key = signing_key::open_or_make(settings_.key_file);
  if (!key)
    return std::move(key.error());
  chain_anchor anchor{static_cast<int64_t>(found.last_seq),
                      found.last_hash,
                      static_cast<int64_t>(found.count) + (found.anchor ? found.anchor->records : 0),
                      wall_us(time_),
                      {},
                      {}};
  if (auto written = write_ledger_anchor(db_, std::move(anchor), *key); !written)
    return written;
  // The first remaining record has no record before it that contains the hash.
  auto first = prepared_statement::prepare(
    db_, "UPDATE _sluice_commits SET prev_hash = ?2 WHERE commit_seq = (SELECT min(commit_seq) FROM _sluice_commits "
         "WHERE commit_seq > ?1) AND length(prev_hash) = 0");
  if (!first)
    return std::move(first.error());
  first->bind(1, static_cast<int64_t>(found.last_seq));
  first->bind_blob(2, found.last_hash);
  if (auto done = first->run(); !done)
    return done;
  auto removal = prepared_statement::prepare(db_, "DELETE FROM _sluice_commits WHERE commit_seq <= ?1");
  if (!removal)
    return std::move(removal.error());
  removal->bind(1, static_cast<int64_t>(found.last_seq));
  return removal->run();
}

caf::expected<pruned_records> ledger_pruning::remove(ledger_epoch& epoch, const limits& keep) {
  auto measured = settings_.max_bytes > 0 ? measure() : caf::expected<bool>{true};
  if (!measured)
    return std::move(measured.error());
  auto found = *measured ? find(epoch, keep) : caf::expected<oldest_records>{oldest_records{}};
  if (!found)
    return std::move(found.error());
  if (found->count == 0)
    return pruned_records{0, !*measured};
  if (auto done = remove_until(*found); !done)
    return std::move(done.error());
  if (found->broken_before_epoch > 0) {
    epoch.broken_before -= std::min(epoch.broken_before, found->broken_before_epoch);
    if (auto kept = write_epoch(db_, epoch); !kept)
      return std::move(kept.error());
  }
  measured_bytes_ -= std::min(measured_bytes_, found->bytes);
  return pruned_records{found->count, found->has_more};
}

} // namespace sluice::sqlite
