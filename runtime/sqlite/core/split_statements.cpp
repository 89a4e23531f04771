#include "runtime/sqlite/core/split_statements.hpp"

#include "actors/base/sql_tokens.hpp"

#include <sqlite3.h>
#include <string>
#include <utility>

namespace sluice::sqlite {

namespace {

// The length of the first statement, its semicolon included. `sqlite3_complete` decides whether a semicolon ends a
// trigger's body. It reads the text from the start at each call, so it is called only for semicolons outside of quotes
// and comments and, after the first one, only for those after `; END`.
size_t first_statement(std::string_view sql) {
  auto rest = sql;
  sql_token last;
  sql_token before;
  bool is_first = true;
  for (auto token = take_token(rest); token.kind != sql_token_kind::end; token = take_token(rest)) {
    auto length = sql.size() - rest.size();
    auto may_end = token.is(';') && (is_first || (last.is("end") && before.is(';')));
    if (may_end && sqlite3_complete(std::string{sql.substr(0, length)}.c_str()))
      return length;
    is_first = is_first && !token.is(';');
    before = std::exchange(last, token);
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
