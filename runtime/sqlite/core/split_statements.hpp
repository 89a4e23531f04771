#pragma once

#include <string_view>
#include <vector>

namespace sluice::sqlite {

/// Cuts a script into its statements, without the blanks and comments before each; semicolons inside literals, comments
/// and trigger bodies do not count. Text after the last semicolon is a statement, too. The views point into `script`.
std::vector<std::string_view> split_statements(std::string_view script);

} // namespace sluice::sqlite
