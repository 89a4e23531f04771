#include "runtime/sqlite/core/foreign_keys.hpp"

#include "actors/base/case_folding.hpp"
#include "messages/error.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/core/text_column.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr uint64_t max_violations = 100'000;

constexpr const char* tables_with_keys =
  "SELECT m.name FROM sqlite_schema AS m WHERE m.type = 'table' AND EXISTS (SELECT 1 FROM "
  "pragma_foreign_key_list(m.name)) ORDER BY m.name";

// The query for the rows of a table (?1) that violate one of its foreign keys (?2), by their primary keys and the
// columns of the foreign key. `+` removes the affinity of the child's column, so that only the parent's applies, as
// when SQLite checks the key; the parent's column comes first because of its collation.
constexpr const char* query_of_violations = R"(
  WITH pairs AS (
    SELECT "from" AS child, "table" AS parent,
      coalesce("to", (SELECT name FROM pragma_table_info("table") WHERE pk = seq + 1)) AS referred
    FROM pragma_foreign_key_list(?1) WHERE id = ?2),
  shown AS (
    SELECT name FROM pragma_table_info(?1) WHERE pk > 0 UNION ALL SELECT child FROM pairs)
  SELECT 'SELECT ' || (SELECT group_concat(printf('quote(c."%w")', name), ' || '', '' || ') FROM shown)
    || printf(' FROM "%w" AS c WHERE ', ?1)
    || (SELECT group_concat(printf('c."%w" IS NOT NULL', child), ' AND ') FROM pairs)
    || coalesce((SELECT printf(' AND NOT EXISTS (SELECT 1 FROM "%w" AS p WHERE ', parent)
        || group_concat(printf('p."%w" = +c."%w"', referred, child), ' AND ') || ')'
      FROM pairs WHERE EXISTS (SELECT 1 FROM pragma_table_info(parent)) GROUP BY parent), ''))";

constexpr size_t max_key_bytes = 200;

caf::expected<std::string> violations_of(const connection& db, const std::string& table, int64_t foreign_key) {
  auto stmt = prepared_statement::prepare(db, query_of_violations);
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, table);
  stmt->bind(2, foreign_key);
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return std::string{stmt->text(0)};
}

std::string joined(const std::vector<std::string>& names) {
  std::string result;
  for (const auto& name : names)
    result += (result.empty() ? "" : ", ") + name;
  return result;
}

} // namespace

// SQLite refuses the PRAGMA within a transaction because violations may already be counted; here there are none.
void enforce_foreign_keys(connection& db, bool enforces) noexcept {
  sqlite3_db_config(db.handle(), SQLITE_DBCONFIG_ENABLE_FKEY, enforces ? 1 : 0, nullptr);
}

bool has_open_foreign_keys(const connection& db) noexcept {
  int open_keys = 0;
  int unused = 0;
  sqlite3_db_status(db.handle(), SQLITE_DBSTATUS_DEFERRED_FKS, &open_keys, &unused, 0);
  return open_keys != 0;
}

caf::expected<foreign_key_violations> foreign_key_violations::find(const connection& db) {
  auto tables = read_text_column(db, tables_with_keys);
  if (!tables)
    return std::move(tables.error());
  foreign_key_violations result;
  for (const auto& table : *tables)
    if (auto done = result.check(db, table); !done)
      return std::move(done.error());
  return result;
}

caf::expected<void> foreign_key_violations::check(const connection& db, const std::string& table) {
  auto stmt = prepared_statement::prepare(db, "SELECT rowid, parent, fkid FROM pragma_foreign_key_check(?1)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, table);
  std::map<std::pair<std::string, int64_t>, uint64_t> without_rowid;
  for (;;) {
    auto row = stmt->step();
    if (!row && code_of(row.error()) == errc::sql_error) {
      // For example, the parent's columns are not unique. The request is not responsible if that was so before.
      ++counts_[{table, std::nullopt, {}, {}, sluice::describe(row.error()).message}];
      return caf::unit;
    }
    if (!row)
      return std::move(row.error());
    if (!*row)
      break;
    if (++total_ > max_violations)
      return make_error(errc::too_large, "more than 100000 rows of this database violate a foreign key; a request "
                                         "with foreign_keys off cannot be checked");
    std::string parent{stmt->text(1)};
    if (stmt->is_null(0))
      ++without_rowid[{std::move(parent), stmt->integer(2)}];
    else
      ++counts_[{table, stmt->integer(0), {}, std::move(parent), {}}];
  }
  for (const auto& [key, count] : without_rowid)
    if (auto done = count_violating_rows(db, {table, std::nullopt, {}, key.first, {}}, key.second, count); !done)
      return done;
  return caf::unit;
}

// For such a table `foreign_key_check` reports the number of violating rows, but does not identify them.
caf::expected<void> foreign_key_violations::count_violating_rows(const connection& db, const violation& like,
                                                                 int64_t foreign_key, uint64_t count) {
  auto sql = violations_of(db, like.table, foreign_key);
  if (!sql)
    return std::move(sql.error());
  auto stmt = prepared_statement::prepare(db, *sql);
  if (!stmt)
    return std::move(stmt.error());
  chain_hash hash;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      break;
    auto copy = like;
    copy.key = stmt->text(0);
    if (copy.key.size() > max_key_bytes)
      copy.key = to_hex(bytes_of(hash.add(copy.key).finish()));
    ++counts_[std::move(copy)];
    count -= std::min<uint64_t>(count, 1);
  }
  // If SQLite counts rows that this query does not find, the error has their number, as SQLite's own does.
  if (count > 0)
    counts_[like] += count;
  return caf::unit;
}

std::optional<std::string> foreign_key_violations::first_new(const foreign_key_violations& later) const {
  for (const auto& [violation, count] : later.counts_)
    if (auto known = counts_.find(violation); known == counts_.end() || known->second < count)
      return describe(violation);
  return std::nullopt;
}

std::string foreign_key_violations::describe(const violation& violation) {
  if (!violation.reason.empty())
    return "the foreign keys of table " + violation.table + " cannot be checked: " + violation.reason;
  auto row = violation.rowid         ? "row " + std::to_string(*violation.rowid)
             : violation.key.empty() ? std::string{"a row"}
                                     : "the row with " + violation.key;
  row += " of table " + violation.table;
  return "FOREIGN KEY constraint failed: " + row + " refers to no row of " + violation.parent;
}

caf::error drop_would_cascade(const std::string& table, const std::vector<std::string>& others) {
  return make_error(errc::constraint,
                    "DROP TABLE " + table
                      + " deletes its rows first, and the foreign keys that refer to it would "
                        "delete or change rows of "
                      + joined(others)
                      + ": to keep them, send the request with foreign_keys off (--foreign-keys off); to lose them, "
                        "delete the rows of "
                      + table + " in a statement before");
}

caf::error drop_violates(const std::string& table) {
  return make_error(errc::constraint, "FOREIGN KEY constraint failed: DROP TABLE " + table
                                        + " deletes its rows first, and rows of other tables refer to them; to rebuild "
                                          "the table, send the request with foreign_keys off (--foreign-keys off)");
}

std::vector<std::string> other_tables(std::vector<std::string> touched, const std::string& dropped) {
  std::erase_if(touched, [name = folded_name(dropped)](const std::string& table) {
    auto lower = folded_name(table);
    return lower == name || lower.starts_with("sqlite_");
  });
  return touched;
}

} // namespace sluice::sqlite
