#include "runtime/sqlite/core/split_statements.hpp"

#include "runtime/sqlite/core/sql_scan.hpp"

#include <sqlite3.h>
#include <string>

namespace sluice::sqlite {

namespace {

// The place behind the literal, quoted name or comment that begins at `at`, or `at` when nothing of the kind does.
// SQLite knows these, too, but would read all from the start for each semicolon in one.
size_t skip_opaque(std::string_view sql, size_t at) noexcept {
  auto behind = [&](std::string_view end, size_t from) {
    auto found = sql.find(end, from);
    return found == std::string_view::npos ? sql.size() : found + end.size();
  };
  switch (sql[at]) {
  case '\'': return behind("'", at + 1);
  case '"': return behind("\"", at + 1);
  case '`': return behind("`", at + 1);
  case '[': return behind("]", at + 1);
  case '-': return sql.substr(at).starts_with("--") ? behind("\n", at + 2) : at;
  case '/': return sql.substr(at).starts_with("/*") ? behind("*/", at + 2) : at;
  default: return at;
  }
}

// The length of the first statement, its semicolon included. SQLite says whether a semicolon ends a trigger's body.
size_t first_statement(std::string_view sql) {
  size_t at = 0;
  while (at < sql.size()) {
    if (sql[at] == ';' && sqlite3_complete(std::string{sql.substr(0, at + 1)}.c_str()))
      return at + 1;
    auto next = skip_opaque(sql, at);
    at = next == at ? at + 1 : next;
  }
  return sql.size();
}

} // namespace

std::vector<std::string_view> split_statements(std::string_view script) {
  std::vector<std::string_view> result;
  for (;;) {
    script = skip_to_token(script);
    if (script.empty())
      return result;
    auto length = first_statement(script);
    result.push_back(script.substr(0, length));
    script.remove_prefix(length);
  }
}

} // namespace sluice::sqlite
