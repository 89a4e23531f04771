#include "runtime/sqlite/core/double_quotes.hpp"

#include "actors/base/sql_tokens.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <sqlite3.h>

#include <memory>

namespace sluice::sqlite {

namespace {

// Calls `quoted` for each token in double quotes, and `other` for the text in between.
template <class Quoted, class Other> void for_each_part(std::string_view sql, Quoted quoted, Other other) {
  size_t begin = 0;
  auto rest = sql;
  for (auto token = take_token(rest); token.kind != sql_token_kind::end; token = take_token(rest)) {
    if (token.kind != sql_token_kind::quoted || token.text.front() != '"')
      continue;
    auto end = sql.size() - rest.size();
    auto at = end - token.text.size();
    other(sql.substr(begin, at - begin));
    quoted(token.text);
    begin = end;
  }
  other(sql.substr(begin));
}

struct schema_object {
  std::string type;
  std::string name;
  std::string table;
  std::string sql;
};

caf::expected<std::vector<schema_object>> read_schema(const connection& db) {
  auto stmt = prepared_statement::prepare(
    db, "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' ORDER BY instr('table index view  trigger', type), rowid");
  if (!stmt)
    return std::move(stmt.error());
  std::vector<schema_object> result;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    auto text = [&](int column) { return std::string{stmt->text(column)}; };
    result.push_back({text(0), text(1), text(2), text(3)});
  }
}

std::string as_name(std::string_view text) {
  std::string result{"\""};
  for (auto c : text)
    result.append(c == '"' ? 2 : 1, c);
  return result + "\"";
}

// A copy of a schema without rows, for harmless trials.
class schema_copy {
public:
  schema_copy() {
    sqlite3* raw = nullptr;
    sqlite3_open_v2(":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    db_.reset(raw);
    sqlite3_limit(raw, SQLITE_LIMIT_ATTACHED, 0);
    accept_text(false);
  }

  // Whether the object depends on text in double quotes. Adds the object unless it is a trigger.
  bool depends(const schema_object& object) {
    auto refused = make(object);
    if (refused) {
      accept_text(true);
      make(object);
      accept_text(false);
    } else if (object.type == "view") {
      refused = is_refused("SELECT * FROM " + as_name(object.name), object);
    } else if (object.type == "trigger") {
      for (const auto& sql : events_of(object.table))
        refused = refused || is_refused(sql, object);
    }
    // One trigger at a time, so that an error of SQLite is about this one.
    if (object.type == "trigger")
      sqlite3_exec(db_.get(), ("DROP TRIGGER IF EXISTS " + as_name(object.name)).c_str(), nullptr, nullptr, nullptr);
    return refused;
  }

private:
  void accept_text(bool accepts) {
    for (auto option : {SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_DQS_DDL})
      sqlite3_db_config(db_.get(), option, accepts ? 1 : 0, nullptr);
  }

  bool make(const schema_object& object) {
    auto code = sqlite3_exec(db_.get(), object.sql.c_str(), nullptr, nullptr, nullptr);
    return code != SQLITE_OK && names_text_of(object);
  }

  bool is_refused(const std::string& sql, const schema_object& object) {
    sqlite3_stmt* stmt = nullptr;
    auto code = sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &stmt, nullptr);
    sqlite3_finalize(stmt);
    return code != SQLITE_OK && names_text_of(object);
  }

  bool names_text_of(const schema_object& object) const {
    auto column = missing_column(sqlite3_errmsg(db_.get()));
    return !column.empty() && mentions_in_double_quotes(object.sql, column);
  }

  // The events that fire the triggers of a table.
  std::vector<std::string> events_of(const std::string& table) {
    auto name = as_name(table);
    std::vector<std::string> result{"INSERT INTO " + name + " DEFAULT VALUES", "DELETE FROM " + name};
    std::string columns;
    sqlite3_stmt* stmt = nullptr;
    if (sqlite3_prepare_v2(db_.get(), "SELECT name FROM pragma_table_info(?1)", -1, &stmt, nullptr) == SQLITE_OK) {
      sqlite3_bind_text(stmt, 1, table.c_str(), -1, SQLITE_TRANSIENT);
      while (sqlite3_step(stmt) == SQLITE_ROW) {
        auto column = as_name(reinterpret_cast<const char*>(sqlite3_column_text(stmt, 0)));
        columns += (columns.empty() ? "" : ", ") + column + " = " + column;
      }
    }
    sqlite3_finalize(stmt);
    if (!columns.empty())
      result.push_back("UPDATE " + name + " SET " + columns);
    return result;
  }

  std::unique_ptr<sqlite3, decltype(&sqlite3_close_v2)> db_{nullptr, &sqlite3_close_v2};
};

} // namespace

std::string with_backticks(std::string_view sql) {
  std::string result;
  result.reserve(sql.size());
  for_each_part(
    sql,
    [&](std::string_view token) {
      result += '`';
      for (auto c : unquoted(token))
        result.append(c == '`' ? 2 : 1, c);
      result += '`';
    },
    [&](std::string_view other) { result += other; });
  return result;
}

bool mentions_in_double_quotes(std::string_view sql, std::string_view name) {
  auto found = false;
  for_each_part(
    sql, [&](std::string_view token) { found = found || unquoted(token) == name; }, [](std::string_view) {});
  return found;
}

std::string_view missing_column(std::string_view message) noexcept {
  constexpr std::string_view words = "no such column: ";
  auto at = message.rfind(words);
  return at == std::string_view::npos ? std::string_view{} : message.substr(at + words.size());
}

caf::expected<bool> is_quoted_in_schema(const connection& db, std::string_view name) {
  auto schema = read_schema(db);
  if (!schema)
    return std::move(schema.error());
  for (const auto& object : *schema)
    if ((object.type == "view" || object.type == "trigger") && mentions_in_double_quotes(object.sql, name))
      return true;
  return false;
}

caf::expected<std::vector<std::string>> find_double_quoted_text(const connection& db) {
  auto schema = read_schema(db);
  if (!schema)
    return std::move(schema.error());
  std::vector<std::string> result;
  schema_copy copy;
  for (const auto& object : *schema)
    if (copy.depends(object))
      result.push_back(object.type + " " + object.name);
  return result;
}

} // namespace sluice::sqlite
