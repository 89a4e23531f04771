#include "runtime/sqlite/ledger/failed_commit.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"

#include <sqlite3.h>

#include <string>

namespace sluice::sqlite {

namespace {

// Even if the number stays the same, SQLite writes its page, because it does not compare.
caf::expected<void> rewrite_user_version(connection& db) {
  auto stmt = prepared_statement::prepare(db, "PRAGMA user_version");
  if (!stmt)
    return std::move(stmt.error());
  if (auto row = stmt->step(); !row)
    return std::move(row.error());
  auto version = std::to_string(stmt->integer(0));
  stmt->reset();
  return db.exec(("PRAGMA user_version = " + version).c_str());
}

// Does nothing if `seen`, called within the transaction, finds the commit after all.
template <class Seen> caf::expected<bool> overwrite_unless(Seen seen, connection& db, synchronous_mode synchronous) {
  auto syncs = synchronous == synchronous_mode::full;
  if (!syncs)
    if (auto done = db.exec("PRAGMA synchronous = FULL"); !done)
      return std::move(done.error());
  if (auto done = db.exec("BEGIN IMMEDIATE"); !done)
    return std::move(done.error());
  caf::expected<bool> there = seen();
  if (!there)
    return there;
  auto done = *there ? db.exec("ROLLBACK") : rewrite_user_version(db);
  if (done && !*there)
    done = db.exec("COMMIT");
  if (done && !syncs)
    done = db.exec("PRAGMA synchronous = NORMAL");
  if (!done)
    return std::move(done.error());
  return !*there;
}

} // namespace

bool wal_may_hold_commit(int code) noexcept { return (code & 0xff) != SQLITE_FULL && code != SQLITE_IOERR_WRITE; }

caf::expected<bool> sees_commit(const connection& db, uint64_t seq, const digest& hash) {
  auto present = has_ledger(db);
  if (!present || !*present)
    return present;
  auto found = find_commit(db, seq);
  if (!found)
    return std::move(found.error());
  return *found && **found == bytes_of(hash);
}

caf::expected<bool> overwrite_lost_commit(connection& db, uint64_t seq, const digest& hash,
                                          synchronous_mode synchronous) {
  // Another connection may have recovered the log in the meantime.
  return overwrite_unless([&] { return sees_commit(db, seq, hash); }, db, synchronous);
}

caf::expected<void> overwrite_lost_commit(connection& db, synchronous_mode synchronous) {
  auto done = overwrite_unless([] { return false; }, db, synchronous);
  if (!done)
    return std::move(done.error());
  return caf::unit;
}

} // namespace sluice::sqlite
