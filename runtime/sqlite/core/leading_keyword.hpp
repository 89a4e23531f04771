#pragma once

#include <string>
#include <string_view>

namespace sluice::sqlite {

/// The first word of `sql` in capitals, after any EXPLAIN [QUERY PLAN]; empty when it begins with something else.
std::string leading_keyword(std::string_view sql);

/// Whether `sql` is a CREATE TABLE ... AS SELECT, whose text SQLite does not keep.
bool creates_from_select(std::string_view sql) noexcept;

} // namespace sluice::sqlite
