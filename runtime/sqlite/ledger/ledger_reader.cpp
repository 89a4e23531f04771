#include "runtime/sqlite/ledger/ledger_reader.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"

#include <algorithm>
#include <limits>

namespace sluice::sqlite {

namespace {

std::string select_commits() {
  return "SELECT " + std::string{commit_columns}
         + " FROM _sluice_commits c WHERE c.commit_seq > ?1 ORDER BY c.commit_seq LIMIT ?2";
}

// The verdict on one record after another.
class ledger_chain_check {
public:
  explicit ledger_chain_check(const ledger_epoch& epoch) : epoch_(epoch) {}

  void next(const prepared_statement& row, chain_hash& hash) {
    auto seq = static_cast<uint64_t>(row.integer(0));
    auto own = commit_hash(hash, row.blob(2), seq, row.integer(1), row.blob(4));
    ++verdict_.records;
    if (seq != last_seq_ + 1 && seq != epoch_.first)
      broken(seq, "records before it are missing");
    else if (row.blob(3) != bytes_of(own))
      broken(seq, "the record does not match its hash");
    else if (row.blob(2) != last_hash_ && seq != epoch_.first)
      broken(seq, "the record does not follow from the one before it");
    last_seq_ = seq;
    last_hash_ = row.blob(3);
  }

  void broken(uint64_t seq, const char* reason) {
    auto& to = seq < epoch_.first ? old_ : verdict_;
    if (to.broken++ > 0)
      return;
    to.first_broken = seq;
    to.reason = reason;
  }

  chain_verdict finish() {
    if (verdict_.records > 0)
      verdict_.head = to_hex(last_hash_);
    // Repaired damage is counted again only if it has become worse.
    if (old_.broken > epoch_.broken_before) {
      verdict_.broken += old_.broken;
      verdict_.first_broken = old_.first_broken;
      verdict_.reason = old_.reason;
    }
    return {std::move(verdict_), old_.broken};
  }

private:
  const ledger_epoch& epoch_;
  audit_verdict verdict_;
  // Of the epochs before.
  audit_verdict old_;
  uint64_t last_seq_ = 0;
  std::string last_hash_ = std::string(sizeof(digest), '\0');
};

invalidation changes_of(const ledger_commit& commit, const std::string& name, const ledger_epoch& epoch) {
  invalidation change{name, commit.seq, {}, !commit.intact || commit.seq == 1 || commit.seq == epoch.first};
  for (const auto& request : commit.requests)
    for (const auto& table : request.tables) {
      change.everything |= table == "sqlite_schema";
      if (std::find(change.tables.begin(), change.tables.end(), table) == change.tables.end())
        change.tables.push_back(table);
    }
  return change;
}

ledger_commit decode(const prepared_statement& row, chain_hash& hash) {
  ledger_commit commit;
  commit.seq = static_cast<uint64_t>(row.integer(0));
  commit.ts_us = row.integer(1);
  commit.prev_hash = row.blob(2);
  commit.hash = row.blob(3);
  auto requests = row.blob(4);
  commit.intact = bytes_of(commit_hash(hash, commit.prev_hash, commit.seq, commit.ts_us, requests)) == commit.hash;
  auto decoded = decode_requests(requests);
  commit.intact &= decoded.has_value();
  if (decoded)
    commit.requests = std::move(*decoded);
  return commit;
}

} // namespace

caf::expected<ledger_reader> ledger_reader::open(const std::filesystem::path& path, bool immutable) {
  // It reads the ledger once through; the default cache would only be filled for nothing.
  connection_options options;
  options.page_cache_bytes = 1U << 20;
  options.immutable = immutable;
  auto db = connection::open(path, options);
  if (!db)
    return std::move(db.error());
  return on(std::move(*db));
}

caf::expected<ledger_reader> ledger_reader::on(connection db) {
  auto present = has_ledger(db);
  if (!present)
    return std::move(present.error());
  auto epoch = *present ? read_epoch(db) : caf::expected<ledger_epoch>{ledger_epoch{}};
  if (!epoch)
    return std::move(epoch.error());
  return ledger_reader{std::move(db), !*present, std::move(*epoch)};
}

caf::expected<void> ledger_reader::check() {
  if (empty_)
    return caf::unit;
  auto state = read_ledger_state(db_);
  if (!state)
    return std::move(state.error());
  return caf::unit;
}

caf::expected<std::vector<ledger_commit>> ledger_reader::after(uint64_t seq, uint64_t limit) {
  std::vector<ledger_commit> result;
  if (empty_)
    return result;
  auto stmt = prepared_statement::prepare(db_, select_commits());
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, static_cast<int64_t>(seq));
  stmt->bind(2, static_cast<int64_t>(limit));
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    result.push_back(decode(*stmt, hash_));
  }
}

caf::expected<void> ledger_reader::find_missing_keys(std::vector<ledger_commit>& commits) {
  if (empty_)
    return caf::unit;
  auto find = prepared_statement::prepare(db_, "SELECT 1 FROM _sluice_keys WHERE key = ?1");
  if (!find)
    return std::move(find.error());
  auto is_any_missing = false;
  for (auto& commit : commits)
    for (const auto& request : commit.requests) {
      if (request.idempotency_key.empty() || request.has_outcome || commit.seq < epoch_.first)
        continue;
      find->bind_text(1, request.idempotency_key);
      auto row = find->step();
      if (!row)
        return std::move(row.error());
      commit.has_keys &= *row;
      is_any_missing |= !*row;
      find->reset();
    }
  if (!is_any_missing)
    return caf::unit;
  // A writer forgets keys and notes that in one transaction. Read afterwards, the note covers what was missing before.
  auto time = read_key_time(db_);
  if (!time)
    return std::move(time.error());
  for (auto& commit : commits)
    commit.has_keys |= !*time || commit.seq <= (*time)->pruned_seq;
  return caf::unit;
}

caf::expected<audit_verdict> ledger_reader::verify() {
  if (empty_)
    return audit_verdict{};
  auto found = verify_chain(db_, epoch_);
  if (!found)
    return std::move(found.error());
  return std::move(found->verdict);
}

caf::expected<chain_verdict> verify_chain(const connection& db, const ledger_epoch& epoch) {
  auto keys = read_key_time(db);
  if (!keys)
    return std::move(keys.error());
  auto stmt = prepared_statement::prepare(db, select_commits());
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, std::numeric_limits<int64_t>::min());
  stmt->bind(2, int64_t{-1});
  ledger_chain_check check{epoch};
  chain_hash hash;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return check.finish();
    check.next(*stmt, hash);
    auto seq = static_cast<uint64_t>(stmt->integer(0));
    if (!*keys || seq <= (*keys)->pruned_seq || seq < epoch.first)
      continue;
    if (auto kept = check_keys(db, seq, stmt->blob(4)); !kept && code_of(kept.error()) == errc::ledger_damaged)
      check.broken(seq, "its idempotency keys are missing");
    else if (!kept)
      return std::move(kept.error());
  }
}

caf::expected<std::vector<invalidation>> commits_after(const std::filesystem::path& path, uint64_t seq, uint64_t limit,
                                                       const std::string& name) {
  auto ledger = ledger_reader::open(path);
  if (!ledger)
    return std::move(ledger.error());
  auto commits = ledger->after(seq, limit);
  if (!commits)
    return std::move(commits.error());
  std::vector<invalidation> result;
  for (const auto& commit : *commits)
    result.push_back(changes_of(commit, name, ledger->epoch()));
  return result;
}

} // namespace sluice::sqlite
