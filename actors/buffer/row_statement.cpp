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

// `text` for each column, with its quoted name in the place of `$`.
std::string each(const std::vector<named_value>& columns, std::string_view text, std::string_view between) {
  std::string result;
  for (const auto& x : columns) {
    if (!result.empty())
      result += between;
    for (auto c : text)
      c == '$' ? result += quoted_name(x.name) : result += c;
  }
  return result;
}

void bind_all(parameters& to, const std::vector<named_value>& columns) {
  for (const auto& x : columns)
    to.positional.push_back(x.content);
}

std::string condition(const row_key& row) { return " WHERE " + each(row.columns, "$ = ?", " AND "); }

statement upsert(const buffer_put& x) {
  auto keys = each(x.row.columns, "$", ", ");
  auto all = x.row.columns;
  all.insert(all.end(), x.values.begin(), x.values.end());
  auto sql = "INSERT INTO " + quoted_name(x.row.table) + " (" + each(all, "$", ", ") + ") VALUES ("
             + each(all, "?", ", ") + ") ON CONFLICT (" + keys + ") DO ";
  sql += x.values.empty() ? "NOTHING" : "UPDATE SET " + each(x.values, "$ = excluded.$", ", ");
  statement result{std::move(sql), {}};
  bind_all(result.params, all);
  return result;
}

} // namespace

statement statement_of(const buffer_put& x) {
  if (x.operation == buffer_operation::upsert)
    return upsert(x);
  statement result;
  if (x.operation == buffer_operation::update) {
    result.sql = "UPDATE " + quoted_name(x.row.table) + " SET " + each(x.values, "$ = ?", ", ") + condition(x.row);
    bind_all(result.params, x.values);
  } else {
    result.sql = "DELETE FROM " + quoted_name(x.row.table) + condition(x.row);
  }
  bind_all(result.params, x.row.columns);
  return result;
}

statement query_of(const row_key& x) {
  statement result{"SELECT * FROM " + quoted_name(x.table) + condition(x), {}};
  bind_all(result.params, x.columns);
  return result;
}

} // namespace sluice
