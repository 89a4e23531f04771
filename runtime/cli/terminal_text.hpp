#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::cli {

/// `text` with everything escaped that could corrupt a terminal or a line of output: control characters, characters
/// that reverse the direction of writing, and bytes that are not UTF-8.
std::string printable(std::string_view text);

/// As `printable`, for text of several lines: keeps line feeds.
std::string printable_lines(std::string_view text);

/// As `printable`, for JSON, whose line feeds are not content: the document keeps its meaning, because characters in
/// its strings are escaped as in JSON.
std::string printable_json(std::string_view documents);

/// Number of code points in valid UTF-8.
size_t width(std::string_view text) noexcept;

} // namespace sluice::cli
