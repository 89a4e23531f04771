#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// A number and its noun: "1 row", "2 rows". `plural` is for nouns that take no "s".
inline std::string counted(uint64_t count, std::string_view singular, std::string_view plural = {}) {
  auto result = std::to_string(count) + " ";
  if (count == 1)
    return result.append(singular);
  return plural.empty() ? result.append(singular).append("s") : result.append(plural);
}

} // namespace sluice
