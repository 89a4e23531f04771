#include "runtime/sqlite/ledger/ledger_reader.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/chain_check.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"
#include "runtime/sqlite/ledger/ledger_meta.hpp"

#include <algorithm>
#include <limits>

namespace sluice::sqlite {

namespace {

std::string select_commits() {
  return "SELECT " + std::string{commit_columns}
         + " FROM _sluice_commits c WHERE c.commit_seq > ?1 ORDER BY c.commit_seq LIMIT ?2";
}

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
  // The verification reads the ledger only once, so a large cache would be useless.
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
  auto anchor =
    *present ? read_ledger_anchor(db) : caf::expected<std::optional<chain_anchor>>{std::optional<chain_anchor>{}};
  if (!anchor)
    return std::move(anchor.error());
  return ledger_reader{std::move(db), !*present, std::move(*epoch), std::move(*anchor)};
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
  // A writer removes keys and records that in one transaction. The record is read afterwards, so it covers the keys
  // that were missing before.
  auto time = read_key_time(db_);
  if (!time)
    return std::move(time.error());
  for (auto& commit : commits)
    commit.has_keys |= !*time || commit.seq <= (*time)->pruned_seq;
  return caf::unit;
}

caf::expected<audit_verdict> ledger_reader::verify(const std::filesystem::path& key_file) {
  if (empty_)
    return audit_verdict{};
  auto found = verify_chain(db_, epoch_, key_file);
  if (!found)
    return std::move(found.error());
  return std::move(found->verdict);
}

caf::expected<chain_verdict> verify_chain(const connection& db, const ledger_epoch& epoch,
                                          const std::filesystem::path& key_file) {
  auto keys = read_key_time(db);
  if (!keys)
    return std::move(keys.error());
  auto anchor = read_ledger_anchor(db);
  if (!anchor)
    return std::move(anchor.error());
  auto stmt = prepared_statement::prepare(db, select_commits());
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, std::numeric_limits<int64_t>::min());
  stmt->bind(2, int64_t{-1});
  ledger_chain_check check{epoch, *anchor};
  if (*anchor)
    if (auto doubt = doubt_about_ledger(**anchor, key_file); !doubt.empty())
      check.note("the ledger begins behind commit " + std::to_string((*anchor)->seq) + ", and the anchor there "
                 + doubt);
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return check.finish();
    check.next(*stmt);
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
  if (const auto& anchor = ledger->anchor(); anchor && seq < static_cast<uint64_t>(anchor->seq))
    result.push_back({name, static_cast<uint64_t>(anchor->seq), {}, true});
  for (const auto& commit : *commits)
    result.push_back(changes_of(commit, name, ledger->epoch()));
  return result;
}

} // namespace sluice::sqlite
