#pragma once

#include <string_view>
#include <vector>

namespace sluice::sqlite {

/// Splits a script into its statements, without the blanks and comments before each; semicolons in literals, comments
/// and trigger bodies do not count. Text after the last semicolon is a statement, too. The views refer to `script`.
std::vector<std::string_view> split_statements(std::string_view script);

} // namespace sluice::sqlite
