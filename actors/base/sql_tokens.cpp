#include "actors/base/sql_tokens.hpp"

#include <algorithm>
#include <cassert>

namespace sluice {

namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr char closing(char quote) noexcept { return quote == '[' ? ']' : quote; }

// The length of the prefix that ends with the first `end` after the first two bytes.
size_t up_to(std::string_view sql, std::string_view end) noexcept {
  auto at = sql.find(end, 2);
  return at == std::string_view::npos ? sql.size() : at + end.size();
}

// The length of a comment, blank or byte-order mark at the front; 0 when there is none.
size_t gap(std::string_view sql) noexcept {
  if (sql.empty())
    return 0;
  switch (sql.front()) {
  case '-': return sql.starts_with("--") ? up_to(sql, "\n") : 0;
  case '/': return sql.starts_with("/*") ? up_to(sql, "*/") : 0;
  case byte_order_mark.front(): return sql.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
  default: return is_blank(sql.front()) ? 1 : 0;
  }
}

// The length of the quoted token at the front. A doubled quote is part of the token, except for `]`.
size_t quoted_length(std::string_view sql) noexcept {
  auto quote = closing(sql.front());
  for (size_t at = 1;; at += 2) {
    at = sql.find(quote, at);
    if (at == std::string_view::npos)
      return sql.size();
    if (quote == ']' || at + 1 == sql.size() || sql[at + 1] != quote)
      return at + 1;
  }
}

size_t name_length(std::string_view sql) noexcept {
  auto end = std::find_if_not(sql.begin(), sql.end(), continues_sql_name);
  return static_cast<size_t>(end - sql.begin());
}

} // namespace

sql_token take_token(std::string_view& sql) noexcept {
  while (auto length = gap(sql))
    sql.remove_prefix(length);
  if (sql.empty())
    return {};
  auto cut = [&](sql_token_kind kind, size_t length) {
    sql_token result{kind, sql.substr(0, length)};
    sql.remove_prefix(length);
    return result;
  };
  auto c = sql.front();
  if (c == '\'' || c == '"' || c == '`' || c == '[')
    return cut(sql_token_kind::quoted, quoted_length(sql));
  if (is_digit(c))
    return cut(sql_token_kind::number, name_length(sql));
  if (continues_sql_name(c) && c != '$')
    return cut(sql_token_kind::word, name_length(sql));
  return cut(sql_token_kind::symbol, 1);
}

std::string_view skip_to_statement(std::string_view sql) noexcept {
  for (;;) {
    auto rest = sql;
    auto token = take_token(rest);
    if (!token.is(';'))
      return token.kind == sql_token_kind::end ? std::string_view{}
                                               : sql.substr(static_cast<size_t>(token.text.data() - sql.data()));
    sql = rest;
  }
}

std::string unquoted(std::string_view token) {
  assert(!token.empty());
  auto quote = closing(token.front());
  std::string result;
  for (size_t at = 1; at < token.size(); ++at)
    if (token[at] != quote)
      result += token[at];
    else if (quote != ']' && at + 1 < token.size())
      result += token[at++];
  return result;
}

std::vector<sql_word> words_of(std::string_view sql) {
  std::vector<sql_word> result;
  for (auto token = take_token(sql); token.kind != sql_token_kind::end; token = take_token(sql))
    if (token.kind == sql_token_kind::quoted)
      result.push_back({folded_name(unquoted(token.text)), true});
    else if (token.kind == sql_token_kind::word)
      result.push_back({folded_name(token.text), false});
  return result;
}

bool has_keyword(const std::vector<sql_word>& words, std::string_view keyword) {
  return std::any_of(words.begin(), words.end(), [&](const auto& x) { return !x.quoted && x.text == keyword; });
}

bool mentions(const std::vector<sql_word>& words, std::string_view folded) {
  return std::any_of(words.begin(), words.end(), [&](const auto& x) { return x.text == folded; });
}

} // namespace sluice
