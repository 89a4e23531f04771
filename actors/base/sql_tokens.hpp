#pragma once

#include "actors/base/case_folding.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// SQL text in tokens, as SQLite's own tokenizer cuts it. Pure functions, safe from any thread; views point into the
/// text that was given.
namespace sluice {

enum class sql_token_kind : uint8_t {
  /// A keyword or a name without quotes.
  word,
  /// A name or a string in quotes: '...', "...", `...` or [...]. Without its closing quote it ends with the text.
  quoted,
  /// A digit and what follows without a gap: an integer, or the part of a real before or behind its point.
  number,
  /// One byte of anything else: operators, parentheses, semicolons.
  symbol,
  /// There is no token any more.
  end,
};

struct sql_token {
  sql_token_kind kind = sql_token_kind::end;
  /// As it is written, quotes included.
  std::string_view text;

  /// Whether it is this keyword, in any case.
  constexpr bool is(std::string_view keyword) const noexcept {
    return kind == sql_token_kind::word && same_name(text, keyword);
  }
  constexpr bool is(char symbol) const noexcept { return kind == sql_token_kind::symbol && text.front() == symbol; }
};

/// Whether `c` may be part of a name without quotes.
constexpr bool continues_sql_name(char c) noexcept {
  return is_ascii_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

/// Cuts the first token off the front of `sql`, with the blanks, comments and byte-order marks before it. A comment
/// that never ends goes to the end of the text.
sql_token take_token(std::string_view& sql) noexcept;

/// `sql` from its first token that is no semicolon: what SQLite skips between statements is cut off.
std::string_view skip_to_statement(std::string_view sql) noexcept;

/// What a quoted token stands for. @pre `token` begins with a quote
std::string unquoted(std::string_view token);

/// A word of SQL text, folded to lower case.
struct sql_word {
  std::string text;
  /// Whether it was quoted, so that it is a name or a string and no keyword.
  bool quoted = false;
};

/// The keywords, names and strings of `sql` in order; comments, numbers and operators are left out.
std::vector<sql_word> words_of(std::string_view sql);

/// Whether `keyword` (in lower case) is among them.
bool has_keyword(const std::vector<sql_word>& words, std::string_view keyword);

/// Whether anything among them may mean the name `folded` (in lower case).
bool mentions(const std::vector<sql_word>& words, std::string_view folded);

} // namespace sluice
