#include "runtime/capsule/name_pattern.hpp"

#include <cstddef>

namespace sluice {

bool matches(std::string_view pattern, std::string_view name) noexcept {
  // Only the last star needs another attempt: the part before it has been found as early as possible.
  size_t in_pattern = 0;
  size_t in_name = 0;
  auto star = std::string_view::npos;
  size_t after_star = 0;
  while (in_name < name.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      after_star = in_name;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == name[in_name]) {
      ++in_pattern;
      ++in_name;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      in_name = ++after_star;
    } else {
      return false;
    }
  }
  while (in_pattern < pattern.size() && pattern[in_pattern] == '*')
    ++in_pattern;
  return in_pattern == pattern.size();
}

} // namespace sluice
