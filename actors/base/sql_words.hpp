#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// A word of SQL text, folded to lower case.
struct sql_word {
  std::string text;
  /// Whether it was quoted, so that it is a name or a string and no keyword.
  bool quoted = false;
};

/// ASCII to lower case, as SQLite compares names.
std::string folded_name(std::string_view name);

/// The keywords, names and strings of `sql` in order; comments, numbers and operators are left out.
std::vector<sql_word> words_of(std::string_view sql);

/// Whether `keyword` (in lower case) is among them.
bool has_keyword(const std::vector<sql_word>& words, std::string_view keyword);

/// Whether anything among them may mean the name `folded` (in lower case).
bool mentions(const std::vector<sql_word>& words, std::string_view folded);

} // namespace sluice
