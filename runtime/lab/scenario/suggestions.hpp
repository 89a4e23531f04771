#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::scenario {

/// The entry of `known` nearest to `word`; empty if none is near. The first one of several.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

/// `a, b and c`
std::string enumerate(std::span<const std::string_view> words);

/// `; did you mean X?`, or, if nothing is near, `; there are A, B and C`
std::string advice(std::string_view word, std::span<const std::string_view> known);

} // namespace sluice::scenario
