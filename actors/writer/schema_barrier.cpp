#include "actors/writer/schema_barrier.hpp"

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

bool is_ascii_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

void pass_comment(std::string_view& sql, std::string_view end) noexcept {
  auto at = sql.find(end);
  sql.remove_prefix(at == std::string_view::npos ? sql.size() : at + end.size());
}

// As SQLite's tokenizer: what stands between two words without being one.
void pass_filler(std::string_view& sql) noexcept {
  constexpr std::string_view spaces = " \t\n\f\r;";
  while (!sql.empty()) {
    if (spaces.find(sql.front()) != std::string_view::npos)
      sql.remove_prefix(1);
    else if (sql.starts_with("--"))
      pass_comment(sql, "\n");
    else if (sql.starts_with("/*"))
      pass_comment(sql, "*/");
    else if (sql.starts_with("\xef\xbb\xbf"))
      sql.remove_prefix(3);
    else
      return;
  }
}

std::string_view take_leading_word(std::string_view& sql) noexcept {
  pass_filler(sql);
  size_t size = 0;
  while (size < sql.size() && is_ascii_letter(sql[size]))
    ++size;
  auto word = sql.substr(0, size);
  sql.remove_prefix(size);
  return word;
}

bool is_keyword(std::string_view word, std::string_view keyword) noexcept {
  return std::equal(word.begin(), word.end(), keyword.begin(), keyword.end(),
                    [](char a, char b) { return (a | 0x20) == b; });
}

} // namespace

bool may_change_schema(std::string_view sql) noexcept {
  auto word = take_leading_word(sql);
  if (is_keyword(word, "alter") || is_keyword(word, "drop"))
    return true;
  if (!is_keyword(word, "create"))
    return false;
  word = take_leading_word(sql);
  if (is_keyword(word, "unique") || is_keyword(word, "temp") || is_keyword(word, "temporary"))
    word = take_leading_word(sql);
  return is_keyword(word, "index") || is_keyword(word, "trigger");
}

bool may_change_schema(const write_request& request) noexcept {
  return std::any_of(request.statements.begin(), request.statements.end(),
                     [](const statement& each) { return may_change_schema(std::string_view{each.sql.str()}); });
}

clock::steady schema_barrier::next_deadline() const {
  auto result = clock::steady::max();
  for (const auto& held : waiting_)
    result = std::min(result, held.deadline);
  return result;
}

std::vector<schema_barrier::waiting> schema_barrier::take_expired(clock::steady now) {
  std::vector<waiting> expired;
  std::vector<waiting> rest;
  for (auto& held : waiting_)
    (held.deadline <= now ? expired : rest).push_back(std::move(held));
  waiting_ = std::move(rest);
  return expired;
}

std::vector<schema_barrier::waiting> schema_barrier::lower() {
  is_up_ = false;
  return std::exchange(waiting_, {});
}

} // namespace sluice
