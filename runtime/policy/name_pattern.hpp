#pragma once

#include <string_view>

namespace sluice {

/// Whether `text` is what `pattern` says, byte by byte, where each `*` in `pattern` stands for any bytes or none; there
/// are no other special characters. A `*` in `text` is a byte like others. Takes time in proportion to the product of
/// the lengths at most.
///
/// With a pattern as `text` it says whether `pattern` matches everything that this one matches.
bool matches(std::string_view pattern, std::string_view text) noexcept;

} // namespace sluice
