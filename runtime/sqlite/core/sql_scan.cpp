#include "runtime/sqlite/core/sql_scan.hpp"

#include <algorithm>

namespace sluice::sqlite {

namespace {

constexpr char fold(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_letter(char c) noexcept {
  c = fold(c);
  return c >= 'a' && c <= 'z';
}

std::string_view after(std::string_view sql, std::string_view end, size_t from) noexcept {
  auto at = sql.find(end, from);
  return at == std::string_view::npos ? std::string_view{} : sql.substr(at + end.size());
}

std::string_view take_word(std::string_view& sql) noexcept {
  sql = skip_to_token(sql);
  auto end = std::find_if_not(sql.begin(), sql.end(), is_letter);
  auto word = sql.substr(0, static_cast<size_t>(end - sql.begin()));
  sql.remove_prefix(word.size());
  return word;
}

} // namespace

std::string_view skip_to_token(std::string_view sql) noexcept {
  constexpr std::string_view blanks = " \t\n\f\r;";
  for (;;) {
    auto start = sql.find_first_not_of(blanks);
    if (start == std::string_view::npos)
      return {};
    sql.remove_prefix(start);
    if (sql.starts_with("--"))
      sql = after(sql, "\n", 2);
    else if (sql.starts_with("/*"))
      // SQLite takes a comment that never ends for one that ends with the text.
      sql = after(sql, "*/", 2);
    else if (sql.starts_with("\xEF\xBB\xBF"))
      sql.remove_prefix(3);
    else
      return sql;
  }
}

bool creates_from_select(std::string_view sql) {
  auto word = [&] { return folded(take_word(sql)); };
  auto skip_name = [&] {
    sql = skip_to_token(sql);
    auto quote = sql.empty() ? '\0' : sql.front();
    if (quote == '"' || quote == '`' || quote == '[' || quote == '\'') {
      auto end = sql.find(quote == '[' ? ']' : quote, 1);
      sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 1);
    } else {
      sql.remove_prefix(std::min(sql.size(), sql.find_first_of(" \t\n\f\r;.(/-")));
    }
  };
  if (word() != "create")
    return false;
  auto next = word();
  if (next == "temp" || next == "temporary")
    next = word();
  if (next != "table")
    return false;
  if (auto after_if = sql; folded(take_word(after_if)) == "if" && folded(take_word(after_if)) == "not"
                           && folded(take_word(after_if)) == "exists")
    sql = after_if;
  skip_name();
  if (sql = skip_to_token(sql); sql.starts_with('.')) {
    sql.remove_prefix(1);
    skip_name();
  }
  return word() == "as";
}

std::string folded(std::string_view text) {
  std::string result{text};
  std::transform(result.begin(), result.end(), result.begin(), fold);
  return result;
}

bool starts_with_folded(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size()
         && std::equal(prefix.begin(), prefix.end(), text.begin(), [](char a, char b) { return a == fold(b); });
}

std::string leading_keyword(std::string_view sql) {
  auto upper = [](std::string_view word) {
    std::string result{word};
    std::transform(result.begin(), result.end(), result.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    return result;
  };
  auto word = upper(take_word(sql));
  if (word != "EXPLAIN")
    return word;
  word = upper(take_word(sql));
  if (word == "QUERY") {
    take_word(sql);
    word = upper(take_word(sql));
  }
  return word;
}

} // namespace sluice::sqlite
