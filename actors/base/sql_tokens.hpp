#pragma once

#include "actors/base/case_folding.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Splits SQL text into tokens, as SQLite's own tokenizer does. Pure functions, safe from any thread; views point into
/// the given text.
namespace sluice {

enum class sql_token_kind : uint8_t {
  /// A keyword or a name without quotes.
  word,
  /// A name or a string in quotes: '...', "...", `...` or [...]. If the closing quote is missing, it ends with the
  /// text.
  quoted,
  /// A digit and what follows without a gap: an integer, or the part of a real before or after its point.
  number,
  /// One byte of anything else: operators, parentheses, semicolons.
  symbol,
  /// There are no further tokens.
  end,
};

struct sql_token {
  sql_token_kind kind = sql_token_kind::end;
  /// The text as written, including quotes.
  std::string_view text;

  /// Whether the token is this keyword, in any letter case.
  constexpr bool is(std::string_view keyword) const noexcept {
    return kind == sql_token_kind::word && same_name(text, keyword);
  }
  constexpr bool is(char symbol) const noexcept { return kind == sql_token_kind::symbol && text.front() == symbol; }
};

/// Whether `c` may be part of a name without quotes.
constexpr bool continues_sql_name(char c) noexcept {
  return is_ascii_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

/// Removes the first token from the front of `sql`, with the blanks, comments and byte-order marks before it. A comment
/// without an end extends to the end of the text.
sql_token take_token(std::string_view& sql) noexcept;

/// `sql` from its first token that is not a semicolon: without the text that SQLite skips between statements.
std::string_view skip_to_statement(std::string_view sql) noexcept;

/// The content of a quoted token. @pre `token` begins with a quote
std::string unquoted(std::string_view token);

/// A word of SQL text, folded to lower case.
struct sql_word {
  std::string text;
  /// Whether it was quoted; it is then a name or a string, not a keyword.
  bool quoted = false;
};

/// The keywords, names and strings of `sql` in order; comments, numbers and operators are left out.
std::vector<sql_word> words_of(std::string_view sql);

/// Whether `keyword` (in lower case) is one of `words`.
bool has_keyword(const std::vector<sql_word>& words, std::string_view keyword);

/// Whether one of `words` may mean the name `folded` (in lower case).
bool mentions(const std::vector<sql_word>& words, std::string_view folded);

} // namespace sluice
