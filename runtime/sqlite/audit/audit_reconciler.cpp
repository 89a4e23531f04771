#include "runtime/sqlite/audit/audit_reconciler.hpp"

#include "runtime/sqlite/audit/audit_agreement.hpp"
#include "runtime/sqlite/audit/audit_check.hpp"
#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/audit/audit_reader.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

namespace sluice::sqlite {

namespace {

// The request ids that the audit has, by commit.
using audited_requests = std::unordered_map<uint64_t, std::vector<std::string>>;

// The commits of the ledger after the last agreement.
struct found_commits {
  ledger_page page;
  // The hash of the commit last agreed on, if the ledger has one with its number.
  std::optional<std::string> agreed;
};

constexpr std::string_view committed = "committed";

class reconciler {
public:
  reconciler(const connection& audit, const std::string& db, const ledger_source& source, bool read_only)
    : audit_(audit), db_(db), source_(source), read_only_(read_only) {}

  caf::expected<judged_comparison> run(uint64_t audit_seq);
  caf::expected<void> accept(const ledger_standing& now, uint64_t audit_seq);
  caf::expected<uint64_t> agree(uint64_t until, uint64_t audit_seq);

private:
  caf::expected<void> keep(const agreement& agreed);
  caf::expected<void> find_issued(agreement& from, uint64_t audit_seq);
  caf::expected<found_commits> commits_after(agreement& from);
  caf::expected<void> read_after(uint64_t audit_seq, const audit_reader::visitor& f);
  caf::expected<audited_requests> audited_after(uint64_t audit_seq);
  caf::expected<void> compare_all(ledger_page page, audited_requests& audited, agreement& reached);
  void compare(const ledger_commit& commit, audited_requests& audited, const ledger_epoch& epoch);
  caf::expected<void> note_epoch(const ledger_epoch& epoch, const agreement& from);
  caf::expected<void> note_removed(const std::optional<chain_anchor>& anchor, const agreement& from);
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
  // Later commits are left out.
  uint64_t until_ = std::numeric_limits<uint64_t>::max();
  // The first record of such a commit; 0 when there is none.
  uint64_t first_later_ = 0;
  // The ledger has the commit last agreed on, if there is one: then only later requests can contradict the audit.
  bool holds_agreement_ = true;
};

caf::expected<void> reconciler::keep(const agreement& agreed) {
  return read_only_ ? caf::expected<void>{caf::unit} : keep_agreement(audit_, db_, agreed);
}

// Reads only the records since the last time: a database without a ledger is compared as often as others.
caf::expected<void> reconciler::find_issued(agreement& from, uint64_t audit_seq) {
  auto look = [&](const audit_row& record) {
    if (record.db == db_ && is_in_ledger(record.request_type) && record.status == committed)
      from.issued = std::max(from.issued, static_cast<uint64_t>(record.commit_seq));
    return true;
  };
  if (auto done = read_after(from.issued_at, look); !done)
    return done;
  if (std::exchange(from.issued_at, audit_seq) == audit_seq)
    return caf::unit;
  return keep(from);
}

// The first commits after the agreement. Resets the agreement when it belongs to another ledger.
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
  auto agreed = has_it ? std::optional{commits.front().hash} : removed_hash(page->anchor, from.seq, from.hash);
  if (agreed != from.hash) {
    from.seq = 0;
    from.audit_seq = 0;
    holds_agreement_ = false;
    return whole(std::move(agreed));
  }
  if (has_it)
    commits.erase(commits.begin());
  if (commits.empty()) {
    page = source_(db_, from.seq);
    if (!page)
      return std::move(page.error());
  }
  return found_commits{std::move(*page), std::move(agreed)};
}

// The records of the audit after `audit_seq`.
caf::expected<void> reconciler::read_after(uint64_t audit_seq, const audit_reader::visitor& f) {
  auto reader = audit_reader::on(audit_);
  return reader ? reader->forward({static_cast<int64_t>(audit_seq)}, f) : std::move(reader.error());
}

caf::expected<audited_requests> reconciler::audited_after(uint64_t audit_seq) {
  // A damaged commit record is in the audit as `corrupt`; failed requests also have that status, but no commit.
  audited_requests result;
  auto look = [&](const audit_row& record) {
    if (record.commit_seq > 0 && record.db == db_ && is_in_ledger(record.request_type)
        && (record.status == committed || record.status == to_string(errc::corrupt))) {
      auto seq = static_cast<uint64_t>(record.commit_seq);
      if (seq > until_ && first_later_ == 0)
        first_later_ = static_cast<uint64_t>(record.seq);
      result[seq].emplace_back(record.request_id);
    }
    return true;
  };
  if (auto done = read_after(audit_seq, look); !done)
    return std::move(done.error());
  return result;
}

audit_record reconciler::recovered(const ledger_commit& commit, ledger_request request) const {
  audit_record record;
  record.type = recovered_type(request.tables);
  record.ts_us = commit.ts_us;
  record.request_id = std::move(request.request_id);
  record.agent = std::move(request.agent);
  record.db = db_;
  record.key = std::move(request.idempotency_key);
  record.status = commit.intact ? "committed" : to_string(errc::corrupt);
  record.commit_seq = commit.seq;
  if (!request.tables.empty())
    record.tables = std::make_shared<const std::vector<std::string>>(std::move(request.tables));
  record.correlation_id = std::move(request.correlation_id);
  record.peer = request.peer;
  record.recovered = true;
  if (!request.capsule_hash.empty())
    record.grant = std::make_shared<const request_grant>(
      request_grant{{}, std::move(request.capsule_hash), std::move(request.policy_hash), request.verified_us});
  return record;
}

void reconciler::compare(const ledger_commit& commit, audited_requests& audited, const ledger_epoch& epoch) {
  auto known = audited.find(commit.seq);
  auto& missing = result_.comparison.missing;
  newest_us_ = commit.ts_us;
  if (!commit.intact) {
    // The requests in a damaged record are ignored, but the commit counts.
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
        // Each record stands for one request, even if callers gave two requests the same id.
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
    for (auto& commit : page.commits) {
      if (commit.seq > until_)
        return caf::unit;
      compare(commit, audited, page.epoch);
      reached.seq = commit.seq;
      reached.hash = std::move(commit.hash);
    }
    auto next = source_(db_, reached.seq);
    if (!next)
      return std::move(next.error());
    page = std::move(*next);
  }
  return caf::unit;
}

caf::expected<bool> reconciler::has_epoch(const ledger_epoch& epoch) {
  return has_record(audit_, [&](const audit_row& record) {
    return record.db == db_ && record.request_type == to_string(request_type::ledger_epoch) && record.key == epoch.id;
  });
}

// The audit does not know the epoch: its writer ended before the record was written, or the file comes from elsewhere.
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

// Only commits that the audit has are removed from a ledger, so this audit is an earlier copy, or another one.
caf::expected<void> reconciler::note_removed(const std::optional<chain_anchor>& anchor, const agreement& from) {
  auto removed = anchor ? static_cast<uint64_t>(anchor->seq) : 0;
  if (removed <= from.seq)
    return caf::unit;
  auto known = has_record(audit_, [&](const audit_row& record) {
    return record.db == db_ && record.request_type == to_string(request_type::audit_gap)
           && static_cast<uint64_t>(record.commit_seq) == removed;
  });
  if (!known || *known)
    return known ? caf::expected<void>{caf::unit} : std::move(known.error());
  result_.comparison.missing.push_back(gap_before(*anchor, db_, removed - from.seq));
  return caf::unit;
}

caf::expected<judged_comparison> reconciler::run(uint64_t audit_seq) {
  if (auto noted = read_only_ ? caf::unit : note_database(audit_, db_); !noted)
    return std::move(noted.error());
  auto from = read_agreement(audit_, db_);
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
    return read_only_ ? found.error() : forget_if_no_database(audit_, db_, before, found.error());
  auto epoch = found->page.epoch;
  if (auto done = note_removed(found->page.anchor, *from); !done)
    return std::move(done.error());
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

// Without the commit last agreed on, the comparison read the ledger from its beginning, but not the audit.
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

// Adds no records, and does not judge the ledger, because its writer continues meanwhile.
caf::expected<uint64_t> reconciler::agree(uint64_t until, uint64_t audit_seq) {
  until_ = until;
  auto from = read_agreement(audit_, db_);
  if (!from)
    return std::move(from.error());
  if (from->seq >= until)
    return from->seq;
  auto found = commits_after(*from);
  if (!found)
    return std::move(found.error());
  auto epoch = found->page.epoch;
  auto is_noted = from->epoch.empty() || from->epoch == epoch.id ? caf::expected<bool>{true} : has_epoch(epoch);
  if (!is_noted)
    return std::move(is_noted.error());
  auto audited = audited_after(from->audit_seq);
  if (!audited)
    return std::move(audited.error());
  auto reached = *from;
  if (auto done = compare_all(std::move(found->page), *audited, reached); !done)
    return std::move(done.error());
  const auto& [missing, standing] = result_.comparison;
  if (!holds_agreement_ || !*is_noted || !missing.empty() || !standing.conflict.empty())
    return from->seq;
  reached.epoch = epoch.id;
  reached.audit_seq = first_later_ > 0 ? first_later_ - 1 : audit_seq;
  reached.issued = std::max(reached.issued, reached.seq);
  if (auto kept = keep(reached); !kept)
    return std::move(kept.error());
  return reached.seq;
}

caf::expected<void> reconciler::accept(const ledger_standing& now, uint64_t audit_seq) {
  if (auto noted = note_database(audit_, db_); !noted)
    return noted;
  return keep({now.agreed_seq, now.agreed_hash, audit_seq, now.issued, audit_seq, now.epoch});
}

} // namespace

caf::expected<judged_comparison> compare_ledger(const connection& audit, const std::string& db, uint64_t audit_seq,
                                                const ledger_source& source, bool read_only) {
  return reconciler{audit, db, source, read_only}.run(audit_seq);
}

caf::expected<uint64_t> agree_on_commits(const connection& audit, const std::string& db, uint64_t audit_seq,
                                         const ledger_source& source, uint64_t until) {
  return reconciler{audit, db, source, false}.agree(until, audit_seq);
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
