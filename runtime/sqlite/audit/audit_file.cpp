#include "runtime/sqlite/audit/audit_file.hpp"

#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/audit/audit_reader.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/own_database.hpp"

#include <vector>

namespace sluice::sqlite {

namespace {

// "slau".
constexpr own_database audit_kind{"audit file", "this file is not an audit file", 0x736c6175, 2, 1};

// The highest commit number that was ever issued for the name, as of the audit's record `issued_at`, and the epoch of
// its ledger. Files of earlier versions lack these columns.
constexpr const char* issued_column = "issued_seq INTEGER NOT NULL DEFAULT 0";
constexpr const char* issued_at_column = "issued_at INTEGER NOT NULL DEFAULT 0";
constexpr const char* epoch_column = "epoch TEXT NOT NULL DEFAULT ''";

// Replacing a row (INSERT OR REPLACE) fires no DELETE trigger, so there are triggers on INSERT as well. `may_go` is the
// condition for rows that may be deleted, `is_there` for rows that must not be inserted again.
std::string guards_of(const std::string& table, const std::string& may_go, const std::string& is_there) {
  const std::string refuse = " BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;";
  auto trigger = [&](const std::string& name, const std::string& event) {
    return "CREATE TRIGGER IF NOT EXISTS " + table + name + " BEFORE " + event + " ON " + table;
  };
  return trigger("_update", "UPDATE") + refuse + trigger("_delete", "DELETE") + " WHEN NOT (" + may_go + ")" + refuse
         + trigger("_replace", "INSERT") + " WHEN EXISTS (SELECT 1 FROM " + table + " WHERE " + is_there + ")" + refuse;
}

// Records after the anchor are in the chain. The anchor itself may be changed, but is signed.
std::string guards(const audit_tables& tables) {
  auto before_anchor = [](const std::string& last) { return last + " <= coalesce((SELECT seq FROM anchor), 0)"; };
  return guards_of("segments", before_anchor("OLD.last_seq"), "first_seq = NEW.first_seq")
         + guards_of("stores", "false", "id = NEW.id OR root = NEW.root")
         + (tables.rows ? guards_of("audit", before_anchor("OLD.seq"), "seq = NEW.seq") : std::string{});
}

// The column `records` comes last, so that the other columns are on the page of the row, however many pages the records
// take.
constexpr const char* segments_table =
  "CREATE TABLE segments(first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, store INTEGER NOT NULL, "
  "newest_us INTEGER NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL, records BLOB NOT NULL) STRICT;";

std::string audit_schema() {
  return segments_table + std::string{anchor_table}
         + std::string{"CREATE TABLE stores(id INTEGER PRIMARY KEY, root TEXT NOT NULL UNIQUE) STRICT;"
                       // The progress of the audit in each ledger: it agrees up to the commit `reconciled_seq` with the
                       // hash `reconciled_hash`; later commits are in records after `audit_seq`, if at all.
                       "CREATE TABLE databases(name TEXT PRIMARY KEY, reconciled_seq INTEGER NOT NULL DEFAULT 0,"
                       " reconciled_hash BLOB NOT NULL DEFAULT x'', audit_seq INTEGER NOT NULL DEFAULT 0, "}
         + issued_column + ", " + issued_at_column + ", " + epoch_column + ") STRICT, WITHOUT ROWID";
}

caf::expected<void> add_segments(connection& db, const audit_tables& tables) {
  if (tables.segments)
    return caf::unit;
  // Format 1 allowed no row to be deleted.
  auto sql = segments_table + std::string{anchor_table}
             + "DROP TRIGGER IF EXISTS audit_delete; PRAGMA user_version = " + std::to_string(audit_kind.format);
  return exec_atomically(db, sql.c_str());
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
  auto has_schema = is_own_database(db, audit_kind);
  if (!has_schema)
    return std::move(has_schema.error());
  if (!*has_schema)
    return make_error(errc::corrupt, audit_kind.mismatch_message);
  auto tables = find_audit_tables(db);
  if (!tables)
    return std::move(tables.error());
  std::vector<std::string> wanted{"SELECT id, root FROM stores",
                                  "SELECT name, reconciled_seq, reconciled_hash, audit_seq FROM databases"};
  if (tables->rows)
    wanted.push_back("SELECT " + audit_columns() + " FROM audit");
  if (tables->segments || !tables->rows)
    wanted.push_back("SELECT " + std::string{segment_columns} + " FROM segments");
  for (const auto& sql : wanted) {
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
  auto tables = find_audit_tables(*db);
  if (!tables)
    return std::move(tables.error());
  if (auto added = add_segments(*db, *tables); !added)
    return std::move(added.error());
  if (auto guarded = db->exec(guards(*tables).c_str()); !guarded)
    return std::move(guarded.error());
  auto store = find_store(*db, root_text);
  if (!store)
    return std::move(store.error());
  return audit_file{path, std::move(*db), *store};
}

caf::expected<std::string> last_record_sql(const connection& db) {
  auto tables = find_audit_tables(db);
  if (!tables)
    return std::move(tables.error());
  constexpr std::string_view of_segments =
    "SELECT * FROM (SELECT last_seq, hash FROM segments ORDER BY first_seq DESC LIMIT 1)";
  constexpr std::string_view of_rows = "SELECT * FROM (SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1)";
  if (!tables->rows)
    return std::string{of_segments};
  if (!tables->segments)
    return std::string{of_rows};
  return std::string{of_segments}.append(" UNION ALL ").append(of_rows).append(" ORDER BY 1 DESC LIMIT 1");
}

caf::expected<audit_head> read_head(const connection& db) {
  auto sql = last_record_sql(db);
  if (!sql)
    return std::move(sql.error());
  auto stmt = prepared_statement::prepare(db, *sql);
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (!*row)
    return audit_head{};
  return audit_head{stmt->integer(0), std::string{stmt->blob(1)}};
}

caf::expected<std::optional<std::string>> read_hash(const connection& db, int64_t seq) {
  auto tables = find_audit_tables(db);
  if (!tables)
    return std::move(tables.error());
  std::vector<const char*> places;
  if (tables->rows)
    places.push_back("SELECT hash FROM audit WHERE seq = ?1");
  if (tables->segments)
    places.push_back("SELECT hash FROM segments WHERE first_seq = (SELECT max(first_seq) FROM segments "
                     "WHERE first_seq <= ?1) AND last_seq = ?1");
  for (const auto* sql : places) {
    auto stmt = prepared_statement::prepare(db, sql);
    if (!stmt)
      return std::move(stmt.error());
    stmt->bind(1, seq);
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (*row)
      return std::optional{std::string{stmt->blob(0)}};
  }
  return std::optional<std::string>{};
}

} // namespace sluice::sqlite
