#include "actors/buffer/row_statement.hpp"

#include <string>
#include <string_view>

namespace sluice {

namespace {

std::string quoted_name(std::string_view name) {
  std::string result{"\""};
  for (auto c : name)
    result.append(c == '"' ? 2 : 1, c);
  return result + "\"";
}

// `text` for each column, with `$` replaced by its quoted name.
std::string each(const std::vector<named_value>& columns, std::string_view text, std::string_view between) {
  std::string result;
  for (const auto& column : columns) {
    if (!result.empty())
      result += between;
    for (auto c : text)
      c == '$' ? result += quoted_name(column.name) : result += c;
  }
  return result;
}

void bind_all(parameters& to, const std::vector<named_value>& columns) {
  for (const auto& column : columns)
    to.positional.push_back(column.content);
}

std::string condition(const row_key& row) { return " WHERE " + each(row.columns, "$ = ?", " AND "); }

statement upsert(const buffer_put& operation) {
  auto keys = each(operation.row.columns, "$", ", ");
  auto all = operation.row.columns;
  all.insert(all.end(), operation.values.begin(), operation.values.end());
  auto sql = "INSERT INTO " + quoted_name(operation.row.table) + " (" + each(all, "$", ", ") + ") VALUES ("
             + each(all, "?", ", ") + ") ON CONFLICT (" + keys + ") DO ";
  sql += operation.values.empty() ? "NOTHING" : "UPDATE SET " + each(operation.values, "$ = excluded.$", ", ");
  statement result{std::move(sql), {}};
  bind_all(result.params, all);
  return result;
}

} // namespace

statement statement_of(const buffer_put& operation) {
  if (operation.operation == buffer_operation::upsert)
    return upsert(operation);
  statement result;
  if (operation.operation == buffer_operation::update) {
    result.sql = "UPDATE " + quoted_name(operation.row.table) + " SET " + each(operation.values, "$ = ?", ", ")
                 + condition(operation.row);
    bind_all(result.params, operation.values);
  } else {
    result.sql = "DELETE FROM " + quoted_name(operation.row.table) + condition(operation.row);
  }
  bind_all(result.params, operation.row.columns);
  return result;
}

statement query_of(const row_key& key) {
  statement result{"SELECT * FROM " + quoted_name(key.table) + condition(key), {}};
  bind_all(result.params, key.columns);
  return result;
}

} // namespace sluice
