#include "runtime/sqlite/audit/audit_reconciler.hpp"

#include "runtime/sqlite/audit/audit_check.hpp"
#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/audit/audit_reader.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

namespace sluice::sqlite {

namespace {

// Ledger and audit agree up to the commit `seq`; the records of later commits are behind the audit record `audit_seq`.
struct agreement {
  uint64_t seq = 0;
  std::string hash;
  uint64_t audit_seq = 0;
  /// The highest number issued, as of the record `issued_at`.
  uint64_t issued = 0;
  uint64_t issued_at = 0;
  std::string epoch;
};

// The request ids that the audit has, by commit.
using audited_requests = std::unordered_map<uint64_t, std::vector<std::string>>;

// The commits of the ledger behind the last agreement.
struct found_commits {
  ledger_page page;
  // The hash of the commit last agreed on, if the ledger has one with its number.
  std::optional<std::string> agreed;
};

constexpr std::string_view committed = "committed";
const std::string_view write_type = to_string(request_type::write);

class reconciler {
public:
  reconciler(const connection& audit, const std::string& db, const ledger_source& source, bool read_only)
    : audit_(audit), db_(db), source_(source), read_only_(read_only) {}

  caf::expected<judged_comparison> run(uint64_t audit_seq);
  caf::expected<void> accept(const ledger_standing& now, uint64_t audit_seq);

private:
  caf::expected<void> note();
  caf::expected<agreement> last_agreement();
  caf::expected<void> keep(const agreement& agreed);
  caf::expected<void> find_issued(agreement& from, uint64_t audit_seq);
  caf::expected<found_commits> commits_after(agreement& from);
  caf::expected<void> read_after(uint64_t audit_seq, const audit_reader::visitor& f);
  caf::expected<audited_requests> audited_after(uint64_t audit_seq);
  caf::expected<void> compare_all(ledger_page page, audited_requests& audited, agreement& reached);
  void compare(const ledger_commit& commit, audited_requests& audited, const ledger_epoch& epoch);
  caf::expected<void> note_epoch(const ledger_epoch& epoch, const agreement& from);
  caf::expected<void> drop_recorded();
  caf::expected<bool> has_epoch(const ledger_epoch& epoch);
  caf::expected<void> judge(const ledger_epoch& epoch, const std::optional<std::string>& agreed,
                            const agreement& before, agreement reached);
  audit_record recovered(const ledger_commit& commit, ledger_request request) const;

  const connection& audit_;
  const std::string& db_;
  const ledger_source& source_;
  bool read_only_;
  judged_comparison result_;
  int64_t newest_us_ = 0;
  // The ledger holds the commit last agreed on, if there is one: later contradictions to the audit show in its requests
  // alone.
  bool holds_agreement_ = true;
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
  auto epochs = knows_epochs(audit_);
  if (!epochs)
    return std::move(epochs.error());
  auto columns = *epochs ? std::string{", issued_seq, issued_at, epoch"} : std::string{", 0, 0, ''"};
  auto stmt = prepared_statement::prepare(audit_, "SELECT reconciled_seq, reconciled_hash, audit_seq" + columns
                                                    + " FROM databases WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db_);
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (!*row)
    return agreement{};
  agreement last{static_cast<uint64_t>(stmt->integer(0)), std::string{stmt->blob(1)},
                 static_cast<uint64_t>(stmt->integer(2)), static_cast<uint64_t>(stmt->integer(3)),
                 static_cast<uint64_t>(stmt->integer(4)), std::string{stmt->text(5)}};
  last.issued = std::max(last.issued, last.seq);
  return last;
}

caf::expected<void> reconciler::keep(const agreement& agreed) {
  if (read_only_)
    return caf::unit;
  auto stmt = prepared_statement::prepare(audit_, "UPDATE databases SET reconciled_seq = ?2, reconciled_hash = ?3, "
                                                  "audit_seq = ?4, issued_seq = ?5, issued_at = ?6, epoch = ?7 "
                                                  "WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db_);
  stmt->bind(2, static_cast<int64_t>(agreed.seq));
  stmt->bind_blob(3, agreed.hash);
  stmt->bind(4, static_cast<int64_t>(agreed.audit_seq));
  stmt->bind(5, static_cast<int64_t>(agreed.issued));
  stmt->bind(6, static_cast<int64_t>(agreed.issued_at));
  stmt->bind_text(7, agreed.epoch);
  return stmt->run();
}

// Looks at the records since the last time only: a database that has no ledger is compared as often as others.
caf::expected<void> reconciler::find_issued(agreement& from, uint64_t audit_seq) {
  auto look = [&](const audit_row& record) {
    if (record.db == db_ && record.request_type == write_type && record.status == committed)
      from.issued = std::max(from.issued, static_cast<uint64_t>(record.commit_seq));
    return true;
  };
  if (auto done = read_after(from.issued_at, look); !done)
    return done;
  if (std::exchange(from.issued_at, audit_seq) == audit_seq)
    return caf::unit;
  return keep(from);
}

// The first commits behind the agreement. Resets it when this ledger is not the one that it is about.
caf::expected<found_commits> reconciler::commits_after(agreement& from) {
  auto whole = [&](std::optional<std::string> agreed) -> caf::expected<found_commits> {
    auto page = source_(db_, 0);
    if (!page)
      return std::move(page.error());
    return found_commits{std::move(*page), std::move(agreed)};
  };
  if (from.seq == 0)
    return whole({});
  auto page = source_(db_, from.seq - 1);
  if (!page)
    return std::move(page.error());
  auto& commits = page->commits;
  auto has_it = !commits.empty() && commits.front().seq == from.seq;
  auto agreed = has_it ? std::optional{commits.front().hash} : std::nullopt;
  if (agreed != from.hash) {
    from.seq = 0;
    from.audit_seq = 0;
    holds_agreement_ = false;
    return whole(std::move(agreed));
  }
  if (commits.size() == 1) {
    page = source_(db_, from.seq);
    if (!page)
      return std::move(page.error());
  } else {
    commits.erase(commits.begin());
  }
  return found_commits{std::move(*page), std::move(agreed)};
}

// The records of the audit behind `audit_seq`.
caf::expected<void> reconciler::read_after(uint64_t audit_seq, const audit_reader::visitor& f) {
  auto reader = audit_reader::on(audit_);
  return reader ? reader->forward({static_cast<int64_t>(audit_seq)}, f) : std::move(reader.error());
}

caf::expected<audited_requests> reconciler::audited_after(uint64_t audit_seq) {
  // A damaged commit record is in the audit as `corrupt`; failed requests have that word, too, but no commit.
  audited_requests result;
  auto look = [&](const audit_row& record) {
    if (record.commit_seq > 0 && record.db == db_ && record.request_type == write_type
        && (record.status == committed || record.status == to_string(errc::corrupt)))
      result[static_cast<uint64_t>(record.commit_seq)].emplace_back(record.request_id);
    return true;
  };
  if (auto done = read_after(audit_seq, look); !done)
    return std::move(done.error());
  return result;
}

audit_record reconciler::recovered(const ledger_commit& commit, ledger_request request) const {
  audit_record record;
  record.ts_us = commit.ts_us;
  record.request_id = std::move(request.request_id);
  record.agent = std::move(request.agent);
  record.db = db_;
  record.type = request_type::write;
  record.key = std::move(request.idempotency_key);
  record.status = commit.intact ? "committed" : to_string(errc::corrupt);
  record.commit_seq = commit.seq;
  if (!request.tables.empty())
    record.tables = std::make_shared<const std::vector<std::string>>(std::move(request.tables));
  record.correlation_id = std::move(request.correlation_id);
  record.peer = request.peer;
  record.recovered = true;
  return record;
}

void reconciler::compare(const ledger_commit& commit, audited_requests& audited, const ledger_epoch& epoch) {
  auto known = audited.find(commit.seq);
  auto& missing = result_.comparison.missing;
  newest_us_ = commit.ts_us;
  if (!commit.intact) {
    // The requests in a damaged record are not trusted, but the commit counts.
    if (known == audited.end())
      missing.push_back(recovered(commit, {}));
    return;
  }
  auto in_both = false;
  for (const auto& request : commit.requests) {
    if (known != audited.end()) {
      auto& ids = known->second;
      auto id = std::find(ids.begin(), ids.end(), request.request_id);
      if (id != ids.end()) {
        in_both = true;
        // Each record stands for one request, even if callers gave two the same id.
        std::swap(*id, ids.back());
        ids.pop_back();
        continue;
      }
    }
    missing.push_back(recovered(commit, request));
  }
  auto is_other = known != audited.end() && !in_both && !known->second.empty() && !known->second.front().empty();
  if (is_other && holds_agreement_ && commit.seq >= epoch.first && result_.comparison.standing.conflict.empty())
    result_.comparison.standing.conflict =
      "commit " + std::to_string(commit.seq) + " in it holds other requests than the audit has for that number";
}

caf::expected<void> reconciler::compare_all(ledger_page page, audited_requests& audited, agreement& reached) {
  while (!page.commits.empty()) {
    for (const auto& commit : page.commits)
      compare(commit, audited, page.epoch);
    reached.seq = page.commits.back().seq;
    reached.hash = std::move(page.commits.back().hash);
    auto next = source_(db_, reached.seq);
    if (!next)
      return std::move(next.error());
    page = std::move(*next);
  }
  return caf::unit;
}

caf::expected<bool> reconciler::has_epoch(const ledger_epoch& epoch) {
  auto found = false;
  auto look = [&](const audit_row& record) {
    found = record.db == db_ && record.request_type == to_string(request_type::ledger_epoch) && record.key == epoch.id;
    return !found;
  };
  if (auto done = read_after(0, look); !done)
    return std::move(done.error());
  return found;
}

// An epoch unknown to the audit: its writer ended before the record was written, or the file comes from elsewhere.
caf::expected<void> reconciler::note_epoch(const ledger_epoch& epoch, const agreement& from) {
  if (epoch.id == from.epoch || from.epoch.empty() || epoch.first <= from.issued)
    return caf::unit;
  auto known = has_epoch(epoch);
  if (!known)
    return std::move(known.error());
  if (*known)
    return caf::unit;
  audit_record record;
  record.ts_us = newest_us_;
  record.db = db_;
  record.type = request_type::ledger_epoch;
  record.key = epoch.id;
  record.status = "ok";
  record.commit_seq = epoch.first;
  record.recovered = true;
  result_.comparison.missing.push_back(std::move(record));
  return caf::unit;
}

caf::expected<judged_comparison> reconciler::run(uint64_t audit_seq) {
  if (auto noted = read_only_ ? caf::unit : note(); !noted)
    return std::move(noted.error());
  auto from = last_agreement();
  if (!from)
    return std::move(from.error());
  if (auto done = find_issued(*from, audit_seq); !done)
    return std::move(done.error());
  result_.comparison.standing = {from->issued, from->seq, from->hash, from->epoch, {}};
  auto before = *from;
  auto found = commits_after(*from);
  // Without a readable ledger there is nothing to compare; its writer reports the damage.
  if (!found && (code_of(found.error()) == errc::unknown_database || code_of(found.error()) == errc::ledger_damaged))
    return std::move(result_);
  if (!found)
    return std::move(found.error());
  auto epoch = found->page.epoch;
  auto audited =
    found->page.commits.empty() ? caf::expected<audited_requests>{audited_requests{}} : audited_after(from->audit_seq);
  if (!audited)
    return std::move(audited.error());
  auto reached = *from;
  reached.audit_seq = reached.issued_at = audit_seq;
  if (auto done = compare_all(std::move(found->page), *audited, reached); !done)
    return std::move(done.error());
  if (auto done = judge(epoch, found->agreed, before, std::move(reached)); !done)
    return std::move(done.error());
  if (read_only_ && result_.judgement.fault != ledger_fault::none)
    if (auto done = drop_recorded(); !done)
      return std::move(done.error());
  return std::move(result_);
}

// Without the commit last agreed on, the comparison took the ledger from its beginning, but not the audit.
caf::expected<void> reconciler::drop_recorded() {
  if (result_.comparison.missing.empty())
    return caf::unit;
  auto audited = audited_after(0);
  if (!audited)
    return std::move(audited.error());
  std::erase_if(result_.comparison.missing, [&](const audit_record& record) {
    auto known = audited->find(record.commit_seq);
    return known != audited->end()
           && std::find(known->second.begin(), known->second.end(), record.request_id) != known->second.end();
  });
  return caf::unit;
}

caf::expected<void> reconciler::judge(const ledger_epoch& epoch, const std::optional<std::string>& agreed,
                                      const agreement& before, agreement reached) {
  auto& [missing, standing] = result_.comparison;
  // An epoch with a record in the audit is in order.
  if (!epoch.id.empty() && !standing.epoch.empty() && epoch.id != standing.epoch) {
    auto known = has_epoch(epoch);
    if (!known)
      return std::move(known.error());
    if (*known)
      standing.epoch = epoch.id;
  }
  result_.judgement = judge_ledger(epoch, reached.seq, agreed, standing);
  if (!standing.conflict.empty())
    result_.withheld = std::exchange(missing, {});
  if (result_.judgement.fault != ledger_fault::none)
    return caf::unit;
  if (auto noted = note_epoch(epoch, before); !noted)
    return noted;
  reached.issued = std::max(standing.issued, reached.seq);
  // A ledger without an id is given one by its next write.
  reached.epoch = epoch.id.empty() ? before.epoch : epoch.id;
  standing = {reached.issued, reached.seq, reached.hash, reached.epoch, {}};
  return missing.empty() ? keep(reached) : caf::expected<void>{caf::unit};
}

caf::expected<void> reconciler::accept(const ledger_standing& now, uint64_t audit_seq) {
  if (auto noted = note(); !noted)
    return noted;
  return keep({now.agreed_seq, now.agreed_hash, audit_seq, now.issued, audit_seq, now.epoch});
}

} // namespace

caf::expected<judged_comparison> compare_ledger(const connection& audit, const std::string& db, uint64_t audit_seq,
                                                const ledger_source& source, bool read_only) {
  return reconciler{audit, db, source, read_only}.run(audit_seq);
}

caf::expected<void> accept_ledger(const connection& audit, const std::string& db, const ledger_standing& now) {
  auto head = read_head(audit);
  if (!head)
    return std::move(head.error());
  return reconciler{audit, db, {}, false}.accept(now, static_cast<uint64_t>(head->seq));
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
  return audited_names(*db);
}

} // namespace sluice::sqlite
