#include "runtime/sqlite/ledger_reader.hpp"

#include "runtime/sqlite/ledger.hpp"
#include "runtime/sqlite/statement.hpp"

#include <algorithm>

namespace sluice::sqlite {

namespace {

constexpr std::string_view select_commits =
  "SELECT commit_seq, ts_us, prev_hash, hash, requests FROM _sluice_commits WHERE commit_seq > ?1 "
  "ORDER BY commit_seq LIMIT ?2";

// The verdict on one record after another.
class chain_check {
public:
  void next(const prepared_statement& row, chain_hash& hash) {
    auto seq = static_cast<uint64_t>(row.integer(0));
    auto own = commit_hash(hash, row.blob(2), seq, row.integer(1), row.blob(4));
    ++verdict_.records;
    if (row.blob(3) != bytes_of(own))
      broken(seq, "the record does not match its hash");
    else if (seq != last_seq_ + 1)
      broken(seq, "records before it are missing");
    else if (row.blob(2) != last_hash_)
      broken(seq, "the record does not follow from the one before it");
    last_seq_ = seq;
    last_hash_ = row.blob(3);
  }

  audit_verdict verdict() {
    if (verdict_.records > 0)
      verdict_.head = to_hex(last_hash_);
    return std::move(verdict_);
  }

private:
  void broken(uint64_t seq, const char* reason) {
    if (verdict_.broken++ > 0)
      return;
    verdict_.first_broken = seq;
    verdict_.reason = reason;
  }

  audit_verdict verdict_;
  uint64_t last_seq_ = 0;
  std::string last_hash_ = std::string(sizeof(digest), '\0');
};

invalidation changes_of(const ledger_commit& commit, const std::string& name) {
  invalidation x{name, commit.seq, {}, !commit.intact || commit.seq == 1};
  for (const auto& request : commit.requests)
    for (const auto& table : request.tables) {
      x.everything |= table == "sqlite_schema";
      if (std::find(x.tables.begin(), x.tables.end(), table) == x.tables.end())
        x.tables.push_back(table);
    }
  return x;
}

ledger_commit decode(const prepared_statement& row, chain_hash& hash) {
  ledger_commit x;
  x.seq = static_cast<uint64_t>(row.integer(0));
  x.ts_us = row.integer(1);
  x.prev_hash = row.blob(2);
  x.hash = row.blob(3);
  auto requests = row.blob(4);
  x.intact = bytes_of(commit_hash(hash, x.prev_hash, x.seq, x.ts_us, requests)) == x.hash;
  auto decoded = decode_requests(requests);
  x.intact &= decoded.has_value();
  if (decoded)
    x.requests = std::move(*decoded);
  return x;
}

} // namespace

caf::expected<ledger_reader> ledger_reader::open(const std::filesystem::path& path) {
  // It reads the ledger once through; the default cache would only be filled for nothing.
  connection_options options;
  options.page_cache_bytes = 1U << 20;
  auto db = connection::open(path, options);
  if (!db)
    return std::move(db.error());
  return on(std::move(*db));
}

caf::expected<ledger_reader> ledger_reader::on(connection db) {
  auto present = has_ledger(db);
  if (!present)
    return std::move(present.error());
  return ledger_reader{std::move(db), !*present};
}

caf::expected<std::vector<ledger_commit>> ledger_reader::after(uint64_t seq, uint64_t limit) {
  std::vector<ledger_commit> result;
  if (empty_)
    return result;
  auto stmt = prepared_statement::prepare(db_, select_commits);
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

caf::expected<audit_verdict> ledger_reader::verify() {
  chain_check check;
  if (empty_)
    return check.verdict();
  auto stmt = prepared_statement::prepare(db_, select_commits);
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, int64_t{-1});
  stmt->bind(2, int64_t{-1});
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return check.verdict();
    check.next(*stmt, hash_);
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
    result.push_back(changes_of(commit, name));
  return result;
}

} // namespace sluice::sqlite
