#include "runtime/sqlite/audit/audit_agreement.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/audit/audit_reader.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <algorithm>
#include <utility>

namespace sluice::sqlite {

caf::expected<void> note_database(const connection& audit, const std::string& db) {
  auto stmt = prepared_statement::prepare(
    audit, "INSERT INTO databases(name) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM databases WHERE name = ?1)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db);
  return stmt->run();
}

caf::error forget_if_no_database(const connection& audit, const std::string& db, const agreement& last,
                                 caf::error failure) {
  auto is_known = last.seq > 0 || last.issued > 0 || !last.epoch.empty();
  if (is_known || code_of(failure) != errc::corrupt)
    return failure;
  auto stmt = prepared_statement::prepare(audit, "DELETE FROM databases WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db);
  auto forgotten = stmt->run();
  return forgotten ? failure : std::move(forgotten.error());
}

caf::expected<agreement> read_agreement(const connection& audit, const std::string& db) {
  auto epochs = knows_epochs(audit);
  if (!epochs)
    return std::move(epochs.error());
  auto columns = *epochs ? std::string{", issued_seq, issued_at, epoch"} : std::string{", 0, 0, ''"};
  auto stmt = prepared_statement::prepare(audit, "SELECT reconciled_seq, reconciled_hash, audit_seq" + columns
                                                   + " FROM databases WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db);
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

caf::expected<bool> has_record(const connection& audit, const std::function<bool(const audit_row&)>& is_it) {
  auto reader = audit_reader::on(audit);
  if (!reader)
    return std::move(reader.error());
  auto found = false;
  auto look = [&](const audit_row& record) {
    found = is_it(record);
    return !found;
  };
  if (auto done = reader->forward({0}, look); !done)
    return std::move(done.error());
  return found;
}

audit_record gap_before(const chain_anchor& anchor, const std::string& db, uint64_t count) {
  audit_record record;
  record.ts_us = anchor.pruned_us;
  record.db = db;
  record.type = request_type::audit_gap;
  record.status = to_string(errc::unavailable);
  record.commit_seq = static_cast<uint64_t>(anchor.seq);
  record.count = static_cast<uint32_t>(std::min<uint64_t>(count, UINT32_MAX));
  record.recovered = true;
  return record;
}

caf::expected<void> keep_agreement(const connection& audit, const std::string& db, const agreement& agreed) {
  auto stmt = prepared_statement::prepare(audit, "UPDATE databases SET reconciled_seq = ?2, reconciled_hash = ?3, "
                                                 "audit_seq = ?4, issued_seq = ?5, issued_at = ?6, epoch = ?7 "
                                                 "WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db);
  stmt->bind(2, static_cast<int64_t>(agreed.seq));
  stmt->bind_blob(3, agreed.hash);
  stmt->bind(4, static_cast<int64_t>(agreed.audit_seq));
  stmt->bind(5, static_cast<int64_t>(agreed.issued));
  stmt->bind(6, static_cast<int64_t>(agreed.issued_at));
  stmt->bind_text(7, agreed.epoch);
  return stmt->run();
}

} // namespace sluice::sqlite
