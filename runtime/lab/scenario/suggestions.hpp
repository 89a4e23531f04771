#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::scenario {

/// `a, b and c`
std::string enumerate(std::span<const std::string_view> words);

/// `; did you mean X?`, or, if nothing is near, `; there are A, B and C`
std::string advice(std::string_view word, std::span<const std::string_view> known);

} // namespace sluice::scenario
