#pragma once

#include <cstddef>
#include <span>
#include <string_view>

/// Words that people mistyped. Pure functions, safe from any thread.
namespace sluice {

/// The edit distance of `a` and `b`: the number of bytes to insert, delete, substitute or transpose with the next one.
/// Takes time in proportion to the product of their lengths.
size_t edit_distance(std::string_view a, std::string_view b);

/// The entry of `known` nearest to `word`, of which a third of the letters may be wrong; empty if none is near, or
/// `word` is longer than 64 bytes. The first of several.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

} // namespace sluice
