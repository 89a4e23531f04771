#include "runtime/sqlite/core/schema_facts.hpp"

#include "actors/base/sql_tokens.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <algorithm>
#include <array>

namespace sluice::sqlite {

namespace {

template <size_t N> bool contains(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// SQLite flags these as deterministic because of indexes, but 'now' and similar arguments make them depend on the
// clock.
constexpr std::array<std::string_view, 11> by_the_clock{
  "date",     "time",         "datetime",     "julianday",         "unixepoch", "strftime",
  "timediff", "current_date", "current_time", "current_timestamp", "localtime",
};

// Placeholders that full-text search overloads; their result depends on the queried table.
constexpr std::array<std::string_view, 6> of_full_text{"match", "bm25", "highlight", "snippet", "offsets", "matchinfo"};

constexpr std::array<std::string_view, 6> indexing_modules{"fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"};

constexpr std::array<std::string_view, 11> shadow_suffixes{"data",   "idx",  "content", "docsize", "config", "segments",
                                                           "segdir", "stat", "node",    "rowid",   "parent"};

struct virtual_table {
  std::string module;
  std::string_view arguments;
};

// Reads "CREATE VIRTUAL TABLE name USING module(arguments)" as SQLite keeps it; an empty module means "no such thing".
virtual_table parse_virtual(std::string_view sql) {
  if (!starts_with_name(sql, "create virtual table"))
    return {};
  sql.remove_prefix(std::string_view{"create virtual table"}.size());
  take_token(sql);
  if (!take_token(sql).is("using"))
    return {"?", {}};
  auto token = take_token(sql);
  auto module = folded_name(token.kind == sql_token_kind::quoted ? unquoted(token.text) : std::string{token.text});
  return {module.empty() ? "?" : module, sql};
}

// Whether a full-text table has external content: an option `content=` with anything but ''.
bool has_external_content(std::string_view arguments) {
  auto text = folded_name(arguments);
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; });
  for (auto at = text.find("content"); at != std::string::npos; at = text.find("content", at + 1)) {
    auto rest = std::string_view{text}.substr(at + 7);
    // The option's name may be quoted in a few ways; a column called "content" has no "=" behind it.
    while (!rest.empty() && (rest.front() == '"' || rest.front() == '\'' || rest.front() == '`' || rest.front() == ']'))
      rest.remove_prefix(1);
    if (rest.starts_with("=") && !rest.starts_with("=''") && !rest.starts_with("=\"\""))
      return true;
  }
  // A comment could hide the option, so none is allowed there.
  return text.find("/*") != std::string::npos || text.find("--") != std::string::npos;
}

} // namespace

caf::expected<relation> schema_facts::classify(std::string_view name) {
  auto key = folded_name(name);
  if (key == "sqlite_master" || key == "sqlite_schema")
    return relation::schema;
  // SQLite writes its own tables, and the broker the ledger's, without reporting it.
  if (key.starts_with("sqlite_") || key.starts_with("_sluice_") || key.starts_with("pragma_"))
    return relation::opaque;
  auto sql = definition(name);
  if (!sql)
    return std::move(sql.error());
  if (sql->empty()) {
    if (key == "json_each" || key == "json_tree")
      return relation::pure_function;
    auto module = is_module(name);
    if (!module)
      return std::move(module.error());
    return *module ? relation::opaque : relation::derived;
  }
  if (starts_with_name(*sql, "create view"))
    return relation::derived;
  auto made = parse_virtual(*sql);
  if (made.module.empty())
    return relation::table;
  auto known = contains(indexing_modules, made.module) && !has_external_content(made.arguments);
  return known ? relation::indexed : relation::opaque;
}

caf::expected<std::string> schema_facts::table_at(int64_t root_page) {
  if (root_page == 1)
    return std::string{"sqlite_schema"};
  auto stmt = prepared_statement::prepare(db_, "SELECT tbl_name FROM sqlite_schema WHERE rootpage = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, root_page);
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return *row ? std::string{stmt->text(0)} : std::string{};
}

caf::expected<bool> schema_facts::deterministic(std::string_view function) {
  auto key = folded_name(function);
  if (contains(by_the_clock, key))
    return false;
  if (contains(of_full_text, key))
    return true;
  if (deterministic_functions_.empty())
    if (auto loaded = load_functions(); !loaded)
      return std::move(loaded.error());
  return deterministic_functions_.contains(key);
}

caf::expected<void> schema_facts::load_functions() {
  // SQLite does not flag its aggregates and window functions (type 'w'), although they are functions of their rows.
  auto stmt = prepared_statement::prepare(
    db_, "SELECT lower(name) FROM pragma_function_list GROUP BY 1 HAVING min((flags & 0x800) != 0 OR "
         "(type = 'w' AND (flags & 0x200000) != 0))");
  if (!stmt)
    return std::move(stmt.error());
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return caf::unit;
    deterministic_functions_.emplace(stmt->text(0));
  }
}

caf::expected<std::vector<std::string>> schema_facts::shadow_tables(std::string_view name) {
  std::vector<std::string> result;
  auto stmt = prepared_statement::prepare(db_, "SELECT name FROM sqlite_schema WHERE type = 'table'");
  if (!stmt)
    return std::move(stmt.error());
  auto prefix = folded_name(name) + "_";
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    auto table = stmt->text(0);
    if (starts_with_name(table, prefix) && contains(shadow_suffixes, folded_name(table.substr(prefix.size()))))
      result.emplace_back(table);
  }
}

caf::expected<bool> schema_facts::is_virtual(std::string_view name) {
  auto sql = definition(name);
  if (!sql)
    return std::move(sql.error());
  return starts_with_name(*sql, "create virtual table");
}

caf::expected<std::string> schema_facts::definition(std::string_view name) {
  auto stmt = prepared_statement::prepare(
    db_, "SELECT sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, name);
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return *row ? std::string{stmt->text(0)} : std::string{};
}

caf::expected<bool> schema_facts::is_module(std::string_view name) {
  auto stmt = prepared_statement::prepare(db_, "SELECT 1 FROM pragma_module_list WHERE name = ?1 COLLATE NOCASE");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, name);
  return stmt->step();
}

} // namespace sluice::sqlite
