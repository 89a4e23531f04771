#include "runtime/sqlite/audit/audit_file.hpp"

#include "runtime/sqlite/audit/audit_row.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/file_permissions.hpp"
#include "runtime/sqlite/files/own_database.hpp"

namespace sluice::sqlite {

namespace {

// "slau".
constexpr own_database audit_kind{"audit file", "this file is not an audit file", 0x736c6175, 1};

// The highest commit number that was ever issued for the name, as of the audit's record `issued_at`, and the epoch of
// its ledger. Files of earlier versions have none of these.
constexpr const char* issued_column = "issued_seq INTEGER NOT NULL DEFAULT 0";
constexpr const char* issued_at_column = "issued_at INTEGER NOT NULL DEFAULT 0";
constexpr const char* epoch_column = "epoch TEXT NOT NULL DEFAULT ''";

// A row that is replaced (INSERT OR REPLACE) fires no DELETE trigger, hence the triggers on INSERT.
constexpr const char* guards = R"(
  CREATE TRIGGER IF NOT EXISTS audit_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS audit_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS audit_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS stores_update BEFORE UPDATE ON stores
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS stores_delete BEFORE DELETE ON stores
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS stores_replace BEFORE INSERT ON stores
    WHEN EXISTS (SELECT 1 FROM stores WHERE id = NEW.id OR root = NEW.root)
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
)";

std::string audit_schema() {
  return "CREATE TABLE audit(" + audit_column_definitions()
         + ") STRICT;"
           "CREATE TABLE stores(id INTEGER PRIMARY KEY, root TEXT NOT NULL UNIQUE) STRICT;"
           // How far each ledger is known to be in the audit: up to the commit `reconciled_seq`, which has the hash
           // `reconciled_hash`; later ones are in records after `audit_seq`, if at all.
           "CREATE TABLE databases(name TEXT PRIMARY KEY, reconciled_seq INTEGER NOT NULL DEFAULT 0,"
           " reconciled_hash BLOB NOT NULL DEFAULT x'', audit_seq INTEGER NOT NULL DEFAULT 0, "
         + std::string{issued_column} + ", " + issued_at_column + ", " + epoch_column + ") STRICT, WITHOUT ROWID";
}

caf::expected<void> add_columns(connection& db) {
  auto known = knows_epochs(db);
  if (!known)
    return std::move(known.error());
  if (*known)
    return caf::unit;
  auto sql = std::string{"ALTER TABLE databases ADD COLUMN "} + issued_column + "; ALTER TABLE databases ADD COLUMN "
             + issued_at_column + "; ALTER TABLE databases ADD COLUMN " + epoch_column;
  return exec_atomically(db, sql.c_str());
}

caf::expected<int64_t> find_store(const connection& db, const std::string& root_text) {
  for (std::string_view sql :
       {"INSERT INTO stores(root) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM stores WHERE root = ?1)",
        "SELECT id FROM stores WHERE root = ?1"}) {
    auto stmt = prepared_statement::prepare(db, sql);
    if (!stmt)
      return std::move(stmt.error());
    stmt->bind_text(1, root_text);
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (*row)
      return stmt->integer(0);
  }
  return make_error(errc::internal, "the store's root cannot be kept in the audit");
}

} // namespace

caf::expected<void> check_audit_file(const connection& db) {
  auto is_made = is_own_database(db, audit_kind);
  if (!is_made)
    return std::move(is_made.error());
  if (!*is_made)
    return make_error(errc::corrupt, audit_kind.not_one);
  for (const auto& sql : {"SELECT " + audit_columns() + " FROM audit", std::string{"SELECT id, root FROM stores"},
                          std::string{"SELECT name, reconciled_seq, reconciled_hash, audit_seq FROM databases"}}) {
    auto stmt = prepared_statement::prepare(db, sql);
    if (!stmt)
      return explain_mismatch(std::move(stmt.error()), audit_kind);
  }
  return caf::unit;
}

caf::expected<bool> knows_epochs(const connection& db) {
  auto columns = read_number(db, "SELECT count(*) FROM pragma_table_info('databases') WHERE name = 'epoch'");
  if (!columns)
    return std::move(columns.error());
  return *columns > 0;
}

caf::expected<audit_file> open_audit_file(const std::filesystem::path& path, const std::string& root_text,
                                          uint64_t page_cache_bytes) {
  connection_options options;
  options.synchronous = synchronous_mode::normal;
  options.page_cache_bytes = page_cache_bytes;
  auto db = open_own_database(path, audit_kind, audit_schema(), options);
  if (!db)
    return std::move(db.error());
  if (auto known = check_audit_file(*db); !known)
    return std::move(known.error());
  if (auto added = add_columns(*db); !added)
    return std::move(added.error());
  if (auto guarded = db->exec(guards); !guarded)
    return std::move(guarded.error());
  auto store = find_store(*db, root_text);
  if (!store)
    return std::move(store.error());
  return audit_file{path, std::move(*db), *store};
}

caf::expected<audit_head> read_head(const connection& db) {
  auto stmt = prepared_statement::prepare(db, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (!*row)
    return audit_head{};
  return audit_head{stmt->integer(0), std::string{stmt->blob(1)}};
}

} // namespace sluice::sqlite
