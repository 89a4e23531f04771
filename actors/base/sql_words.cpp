#include "actors/base/sql_words.hpp"

#include <algorithm>

namespace sluice {

namespace {

char fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool begins_word(char c) {
  return (fold(c) >= 'a' && fold(c) <= 'z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool continues_word(char c) { return begins_word(c) || (c >= '0' && c <= '9') || c == '$'; }

// Cuts what is quoted off the front of `sql`, which begins with the opening quote.
std::string take_quoted(std::string_view& sql) {
  auto quote = sql.front() == '[' ? ']' : sql.front();
  std::string result;
  size_t i = 1;
  for (; i < sql.size(); ++i) {
    if (sql[i] != quote)
      result += fold(sql[i]);
    else if (quote != ']' && i + 1 < sql.size() && sql[i + 1] == quote)
      result += sql[i++];
    else
      break;
  }
  sql.remove_prefix(std::min(i + 1, sql.size()));
  return result;
}

std::string take_word(std::string_view& sql) {
  auto end = std::find_if_not(sql.begin(), sql.end(), continues_word);
  auto result = folded_name({sql.begin(), end});
  sql.remove_prefix(result.size());
  return result;
}

void skip_past(std::string_view& sql, std::string_view end) {
  auto at = sql.find(end);
  sql.remove_prefix(at == std::string_view::npos ? sql.size() : at + end.size());
}

} // namespace

std::string folded_name(std::string_view name) {
  std::string result{name};
  std::transform(result.begin(), result.end(), result.begin(), fold);
  return result;
}

std::vector<sql_word> words_of(std::string_view sql) {
  std::vector<sql_word> result;
  while (!sql.empty()) {
    auto c = sql.front();
    if (sql.starts_with("--"))
      skip_past(sql, "\n");
    else if (sql.starts_with("/*"))
      skip_past(sql, "*/");
    else if (c == '\'' || c == '"' || c == '`' || c == '[')
      result.push_back({take_quoted(sql), true});
    else if (begins_word(c))
      result.push_back({take_word(sql), false});
    else if (c >= '0' && c <= '9')
      take_word(sql);
    else
      sql.remove_prefix(1);
  }
  return result;
}

bool has_keyword(const std::vector<sql_word>& words, std::string_view keyword) {
  return std::any_of(words.begin(), words.end(), [&](const auto& x) { return !x.quoted && x.text == keyword; });
}

bool mentions(const std::vector<sql_word>& words, std::string_view folded) {
  return std::any_of(words.begin(), words.end(), [&](const auto& x) { return x.text == folded; });
}

} // namespace sluice
