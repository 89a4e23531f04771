#include "runtime/sqlite/core/split_statements.hpp"

#include "actors/base/sql_tokens.hpp"

#include <sqlite3.h>
#include <string>

namespace sluice::sqlite {

namespace {

// The length of the first statement, including its semicolon. SQLite decides whether a semicolon ends a trigger's body.
// It is not called for those in quotes and comments, because each call would read all from the start.
size_t first_statement(std::string_view sql) {
  auto rest = sql;
  for (auto token = take_token(rest); token.kind != sql_token_kind::end; token = take_token(rest)) {
    auto length = sql.size() - rest.size();
    if (token.is(';') && sqlite3_complete(std::string{sql.substr(0, length)}.c_str()))
      return length;
  }
  return sql.size();
}

} // namespace

std::vector<std::string_view> split_statements(std::string_view script) {
  std::vector<std::string_view> result;
  for (;;) {
    script = skip_to_statement(script);
    if (script.empty())
      return result;
    auto length = first_statement(script);
    result.push_back(script.substr(0, length));
    script.remove_prefix(length);
  }
}

} // namespace sluice::sqlite
