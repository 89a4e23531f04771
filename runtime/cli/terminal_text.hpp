#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::cli {

/// `text` with everything escaped that could break a terminal or a line of output: control characters, what reverses the
/// direction of writing, and bytes that are no UTF-8.
std::string printable(std::string_view text);

/// Number of code points in valid UTF-8.
size_t width(std::string_view text) noexcept;

} // namespace sluice::cli
