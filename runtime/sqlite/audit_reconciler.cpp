#include "runtime/sqlite/audit_reconciler.hpp"

#include "runtime/sqlite/audit_file.hpp"
#include "runtime/sqlite/statement.hpp"

#include <algorithm>
#include <unordered_map>

namespace sluice::sqlite {

namespace {

// Ledger and audit agree up to the commit `seq`; what the audit has of later ones is behind its record `audit_seq`.
struct agreement {
  uint64_t seq = 0;
  std::string hash;
  uint64_t audit_seq = 0;
};

// The request ids that the audit has, by commit.
using audited_requests = std::unordered_map<uint64_t, std::vector<std::string>>;

class reconciler {
public:
  reconciler(const connection& audit, const std::string& db, const ledger_source& source)
    : audit_(audit), db_(db), source_(source) {}

  caf::expected<std::vector<audit_record>> run(uint64_t audit_seq);

private:
  caf::expected<void> note();
  caf::expected<agreement> last_agreement();
  caf::expected<void> keep(const agreement& x);
  caf::expected<std::vector<ledger_commit>> commits_after(agreement& from);
  caf::expected<audited_requests> audited_after(uint64_t audit_seq);
  void compare(const ledger_commit& commit, audited_requests& audited);
  audit_record recovered(const ledger_commit& commit, ledger_request request) const;

  const connection& audit_;
  const std::string& db_;
  const ledger_source& source_;
  std::vector<audit_record> missing_;
};

caf::expected<void> reconciler::note() {
  auto stmt = prepared_statement::prepare(
    audit_, "INSERT INTO databases(name) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM databases WHERE name = ?1)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db_);
  return stmt->run();
}

caf::expected<agreement> reconciler::last_agreement() {
  auto stmt = prepared_statement::prepare(
    audit_, "SELECT reconciled_seq, reconciled_hash, audit_seq FROM databases WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db_);
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (!*row)
    return agreement{};
  return agreement{static_cast<uint64_t>(stmt->integer(0)), std::string{stmt->blob(1)},
                   static_cast<uint64_t>(stmt->integer(2))};
}

caf::expected<void> reconciler::keep(const agreement& x) {
  auto stmt = prepared_statement::prepare(
    audit_, "UPDATE databases SET reconciled_seq = ?2, reconciled_hash = ?3, audit_seq = ?4 WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db_);
  stmt->bind(2, static_cast<int64_t>(x.seq));
  stmt->bind_blob(3, x.hash);
  stmt->bind(4, static_cast<int64_t>(x.audit_seq));
  return stmt->run();
}

// The first commits behind the agreement. Resets it when this ledger is not the one that it is about.
caf::expected<std::vector<ledger_commit>> reconciler::commits_after(agreement& from) {
  if (from.seq == 0)
    return source_(db_, 0);
  auto commits = source_(db_, from.seq - 1);
  if (!commits)
    return commits;
  if (commits->empty() || commits->front().seq != from.seq || commits->front().hash != from.hash) {
    from = {};
    return source_(db_, 0);
  }
  if (commits->size() == 1)
    return source_(db_, from.seq);
  commits->erase(commits->begin());
  return commits;
}

caf::expected<audited_requests> reconciler::audited_after(uint64_t audit_seq) {
  // A damaged commit record is in the audit as `corrupt`; failed requests have that word, too, but no commit.
  auto stmt = prepared_statement::prepare(audit_, "SELECT commit_seq, request_id FROM audit WHERE seq > ?1 AND db = ?2 "
                                                  "AND commit_seq > 0 AND request_type = 'write' "
                                                  "AND status IN ('committed', 'corrupt')");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, static_cast<int64_t>(audit_seq));
  stmt->bind_text(2, db_);
  audited_requests result;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    result[static_cast<uint64_t>(stmt->integer(0))].emplace_back(stmt->text(1));
  }
}

audit_record reconciler::recovered(const ledger_commit& commit, ledger_request request) const {
  audit_record x;
  x.ts_us = commit.ts_us;
  x.request_id = std::move(request.request_id);
  x.agent = std::move(request.agent);
  x.db = db_;
  x.type = request_type::write;
  x.key = std::move(request.idempotency_key);
  x.status = commit.intact ? "committed" : to_string(errc::corrupt);
  x.commit_seq = commit.seq;
  if (!request.tables.empty())
    x.tables = std::make_shared<const std::vector<std::string>>(std::move(request.tables));
  x.correlation_id = std::move(request.correlation_id);
  x.peer = request.peer;
  x.recovered = true;
  return x;
}

void reconciler::compare(const ledger_commit& commit, audited_requests& audited) {
  auto known = audited.find(commit.seq);
  if (!commit.intact) {
    // What a damaged record says of its requests is worth nothing; that there was a commit is.
    if (known == audited.end())
      missing_.push_back(recovered(commit, {}));
    return;
  }
  for (const auto& request : commit.requests) {
    if (known != audited.end()) {
      auto& ids = known->second;
      auto id = std::find(ids.begin(), ids.end(), request.request_id);
      if (id != ids.end()) {
        // Each record stands for one request, even if callers gave two the same id.
        std::swap(*id, ids.back());
        ids.pop_back();
        continue;
      }
    }
    missing_.push_back(recovered(commit, request));
  }
}

caf::expected<std::vector<audit_record>> reconciler::run(uint64_t audit_seq) {
  if (auto noted = note(); !noted)
    return std::move(noted.error());
  auto from = last_agreement();
  if (!from)
    return std::move(from.error());
  auto commits = commits_after(*from);
  if (!commits && code_of(commits.error()) == errc::unknown_database)
    return std::vector<audit_record>{};
  if (!commits || commits->empty())
    return commits ? caf::expected<std::vector<audit_record>>{std::vector<audit_record>{}} : std::move(commits.error());
  auto audited = audited_after(from->audit_seq);
  if (!audited)
    return std::move(audited.error());
  agreement reached;
  while (commits && !commits->empty()) {
    for (const auto& commit : *commits)
      compare(commit, *audited);
    reached = {commits->back().seq, std::move(commits->back().hash), audit_seq};
    commits = source_(db_, reached.seq);
  }
  if (!commits)
    return std::move(commits.error());
  if (missing_.empty())
    if (auto kept = keep(reached); !kept)
      return std::move(kept.error());
  return std::move(missing_);
}

} // namespace

caf::expected<std::vector<audit_record>> find_missing(connection& audit, const std::string& db, uint64_t audit_seq,
                                                      const ledger_source& source) {
  return reconciler{audit, db, source}.run(audit_seq);
}

caf::expected<std::vector<std::string>> audited_databases(const std::filesystem::path& path, bool immutable) {
  std::vector<std::string> result;
  connection_options options;
  options.immutable = immutable;
  auto db = connection::open(path, options);
  if (!db && code_of(db.error()) == errc::unknown_database)
    return result;
  if (!db)
    return std::move(db.error());
  if (auto known = check_audit_file(*db); !known)
    return std::move(known.error());
  auto stmt = prepared_statement::prepare(*db, "SELECT name FROM databases ORDER BY name");
  if (!stmt)
    return std::move(stmt.error());
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    result.emplace_back(stmt->text(0));
  }
}

} // namespace sluice::sqlite
