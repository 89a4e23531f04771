#include "runtime/sqlite/ledger/ledger_schema.hpp"

#include "actors/base/sql_tokens.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <algorithm>

namespace sluice::sqlite {

namespace {

constexpr std::string_view stem = "_sluice";

bool has_definition(const unknown_object& object, const table_definition& definition) noexcept {
  return object.type == "table" && object.name == definition.name && object.sql == definition.sql;
}

// An index that SQLite created for a UNIQUE of the table's own definition; users cannot choose such a name.
bool is_automatic(const unknown_object& object) noexcept {
  return object.type == "index" && object.sql.empty() && object.name.starts_with("sqlite_autoindex_");
}

const table_definition* definition_of(const unknown_object& object) noexcept {
  auto found = std::find_if(ledger_tables.begin(), ledger_tables.end(),
                            [&](const auto& table) { return has_definition(object, table); });
  return found != ledger_tables.end() ? &*found : nullptr;
}

caf::expected<void> check_format(const connection& db) {
  auto stmt = prepared_statement::prepare(db, "SELECT value FROM _sluice_meta WHERE name = 'format'");
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (!*row)
    return ledger_damaged("the row 'format' is missing in _sluice_meta");
  auto found = stmt->column(0);
  if (!found.integer())
    return ledger_damaged("the row 'format' in _sluice_meta is not a number");
  if (*found.integer() >= oldest_ledger_format && *found.integer() <= ledger_format)
    return caf::unit;
  return make_error(errc::protocol_mismatch,
                    "the ledger in this database has format " + std::to_string(*found.integer())
                      + ", and this program knows formats up " + "to " + std::to_string(ledger_format)
                      + "; use a sluice of its version or a newer one");
}

} // namespace

bool is_ledger_name(std::string_view name) noexcept {
  return starts_with_name(name, stem) && (name.size() == stem.size() || name[stem.size()] == '_');
}

bool mentions_ledger_name(std::string_view folded_sql) noexcept {
  for (auto at = folded_sql.find(stem); at != std::string_view::npos; at = folded_sql.find(stem, at + 1)) {
    auto end = at + stem.size();
    auto begins = at == 0 || !continues_sql_name(folded_sql[at - 1]);
    if (begins && (end == folded_sql.size() || folded_sql[end] == '_' || !continues_sql_name(folded_sql[end])))
      return true;
  }
  return false;
}

bool ledger_objects::none() const noexcept {
  return unknown.empty() && std::none_of(present.begin(), present.end(), [](bool x) { return x; });
}

bool ledger_objects::complete() const noexcept {
  return unknown.empty() && std::all_of(present.begin(), present.end(), [](bool x) { return x; });
}

caf::expected<ledger_objects> find_ledger_objects(const connection& db) {
  auto stmt = prepared_statement::prepare(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema "
                                              "WHERE name LIKE '\\_sluice%' ESCAPE '\\' "
                                              "OR tbl_name LIKE '\\_sluice%' ESCAPE '\\'");
  if (!stmt)
    return std::move(stmt.error());
  ledger_objects result;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    unknown_object object{std::string{stmt->text(0)}, std::string{stmt->text(1)}, std::string{stmt->text(2)},
                          std::string{stmt->text(3)}};
    if (const auto* definition = definition_of(object))
      result.present[static_cast<size_t>(definition - ledger_tables.data())] = true;
    else if (has_definition(object, migrations_definition))
      result.has_migrations = true;
    else if ((is_ledger_name(object.name) || is_ledger_name(object.table)) && !is_automatic(object))
      result.unknown.push_back(std::move(object));
  }
}

caf::expected<std::vector<std::string>> find_triggers_into_ledger(const connection& db) {
  auto stmt = prepared_statement::prepare(
    db, "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' AND sql LIKE '%\\_sluice%' ESCAPE '\\' "
        "ORDER BY name");
  if (!stmt)
    return std::move(stmt.error());
  std::vector<std::string> result;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    // Triggers on the ledger's own tables, or with its names, are damage to it.
    auto is_damage = is_ledger_name(stmt->text(0)) || is_ledger_name(stmt->text(1));
    if (!is_damage && mentions_ledger_name(folded_name(stmt->text(2))))
      result.push_back("trigger " + std::string{stmt->text(0)} + " on " + std::string{stmt->text(1)});
  }
}

caf::error ledger_damaged(std::string why) {
  return make_error(errc::ledger_damaged, "the ledger of this database is damaged: " + std::move(why)
                                            + "; writes are refused until `sluice doctor ROOT --repair`");
}

caf::expected<bool> has_ledger(const connection& db) {
  auto found = find_ledger_objects(db);
  if (!found)
    return std::move(found.error());
  if (found->none())
    return false;
  // The format is checked first: another format may have other tables.
  if (found->present[2])
    if (auto known = check_format(db); !known)
      return std::move(known.error());
  if (!found->unknown.empty()) {
    const auto& object = found->unknown.front();
    auto on = object.table == object.name ? std::string{} : " on " + object.table;
    return ledger_damaged("the " + object.type + " '" + object.name + "'" + on + " was not made by the broker");
  }
  for (size_t i = 0; i < ledger_tables.size(); ++i)
    if (!found->present[i])
      return ledger_damaged("the table " + std::string{ledger_tables[i].name} + " is missing");
  return true;
}

} // namespace sluice::sqlite
