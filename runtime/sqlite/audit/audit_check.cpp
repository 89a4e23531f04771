#include "runtime/sqlite/audit/audit_check.hpp"

#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/audit/audit_reconciler.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/core/text_column.hpp"

namespace sluice::sqlite {

namespace {

// The first broken or missing record of the epoch, as text; empty without one.
caf::expected<std::string> find_break(const std::string& db, const ledger_source& source) {
  uint64_t last = 0;
  std::string hash;
  for (;;) {
    auto page = source(db, last);
    if (!page)
      return std::move(page.error());
    if (last == 0 && page->anchor) {
      if (!page->doubt.empty())
        return "it begins behind commit " + std::to_string(page->anchor->seq) + ", and the anchor there " + page->doubt;
      last = static_cast<uint64_t>(page->anchor->seq);
      hash = page->anchor->hash;
    }
    if (page->commits.empty())
      return std::string{};
    for (auto& commit : page->commits) {
      auto in_epoch = commit.seq >= page->epoch.first;
      auto number = std::to_string(commit.seq);
      if (in_epoch && !commit.intact)
        return "commit " + number + " in it is broken: the record does not match its hash";
      if (in_epoch && !commit.has_keys)
        return "commit " + number + " in it is broken: its idempotency keys are missing";
      if (commit.seq > page->epoch.first && commit.seq != last + 1)
        return "commit " + number + " in it is broken: records before it are missing";
      if (commit.seq > page->epoch.first && commit.prev_hash != hash)
        return "commit " + number + " in it is broken: the record does not follow from the one before it";
      last = commit.seq;
      hash = std::move(commit.hash);
    }
  }
}

caf::expected<std::string> find_problem(const connection& audit, const std::string& db, const ledger_source& source,
                                        uint64_t audit_seq, bool chains) {
  auto found = compare_ledger(audit, db, audit_seq, source, true);
  if (!found)
    return std::move(found.error());
  // The comparison does not report a ledger that is damaged in itself.
  if (auto page = source(db, 0); !page)
    return std::move(page.error());
  if (found->judgement.fault != ledger_fault::none)
    return std::move(found->judgement.reason);
  return chains ? find_break(db, source) : std::string{};
}

} // namespace

caf::expected<std::vector<std::string>> audited_names(const connection& db) {
  return read_text_column(db, "SELECT name FROM databases ORDER BY name");
}

caf::expected<std::vector<ledger_problem>> check_ledgers(const connection& audit, const ledger_source& source,
                                                         bool chains) {
  auto names = audited_names(audit);
  if (!names)
    return std::move(names.error());
  auto head = read_head(audit);
  if (!head)
    return std::move(head.error());
  std::vector<ledger_problem> result;
  for (auto& db : *names) {
    auto reason = find_problem(audit, db, source, static_cast<uint64_t>(head->seq), chains);
    if (reason && !reason->empty())
      result.push_back({std::move(db), std::move(*reason)});
    else if (!reason && code_of(reason.error()) != errc::unknown_database)
      result.push_back({std::move(db), describe(reason.error()).message, true});
  }
  return result;
}

caf::expected<std::vector<ledger_problem>> check_ledgers(const std::filesystem::path& path, const ledger_source& source,
                                                         bool immutable) {
  connection_options options;
  options.immutable = immutable;
  auto audit = connection::open(path, options);
  if (!audit && code_of(audit.error()) == errc::unknown_database)
    return std::vector<ledger_problem>{};
  if (!audit)
    return std::move(audit.error());
  if (auto known = check_audit_file(*audit); !known)
    return std::move(known.error());
  // A snapshot that is older than every read of a ledger: a commit that a broker makes meanwhile is in the ledger, so
  // it is not reported as missing there.
  if (auto begun = audit->exec("BEGIN"); !begun)
    return std::move(begun.error());
  return check_ledgers(*audit, source, false);
}

} // namespace sluice::sqlite
