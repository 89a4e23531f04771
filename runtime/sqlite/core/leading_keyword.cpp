#include "runtime/sqlite/core/leading_keyword.hpp"

#include "actors/base/sql_tokens.hpp"

namespace sluice::sqlite {

std::string leading_keyword(std::string_view sql) {
  sql = skip_to_statement(sql);
  auto token = take_token(sql);
  if (token.is("explain")) {
    token = take_token(sql);
    if (token.is("query")) {
      take_token(sql);
      token = take_token(sql);
    }
  }
  return token.kind == sql_token_kind::word ? in_capitals(token.text) : std::string{};
}

bool creates_from_select(std::string_view sql) noexcept {
  sql = skip_to_statement(sql);
  if (!take_token(sql).is("create"))
    return false;
  auto token = take_token(sql);
  if (token.is("temp") || token.is("temporary"))
    token = take_token(sql);
  if (!token.is("table"))
    return false;
  if (auto rest = sql; take_token(rest).is("if") && take_token(rest).is("not") && take_token(rest).is("exists"))
    sql = rest;
  take_token(sql);
  token = take_token(sql);
  if (token.is('.')) {
    take_token(sql);
    token = take_token(sql);
  }
  return token.is("as");
}

} // namespace sluice::sqlite
