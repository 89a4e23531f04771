#pragma once

#include <string>
#include <string_view>

namespace sluice::sqlite {

/// `sql` from its first token on: what SQLite skips between statements (blanks, comments, semicolons, byte-order marks)
/// is cut off.
std::string_view skip_to_token(std::string_view sql) noexcept;

/// The first word of `sql` in capitals, after any EXPLAIN [QUERY PLAN]; empty when it begins with something else.
std::string leading_keyword(std::string_view sql);

/// Whether `sql` is a CREATE TABLE ... AS SELECT, whose text SQLite does not keep.
bool creates_from_select(std::string_view sql);

/// `text` with the 26 ASCII letters in lower case: how SQLite compares names.
std::string folded(std::string_view text);

/// Whether `text` begins with `prefix`, compared as SQLite compares names. @pre `prefix` is in lower case
bool starts_with_folded(std::string_view text, std::string_view prefix) noexcept;

} // namespace sluice::sqlite
