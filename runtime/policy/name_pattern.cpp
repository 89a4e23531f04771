#include "runtime/policy/name_pattern.hpp"

#include <cstddef>

namespace sluice {

// Only the last `*` has to be tried with more bytes: whatever the earlier ones take, the rest of the text still has to
// be matched from there.
bool matches(std::string_view pattern, std::string_view text) noexcept {
  size_t at = 0;
  size_t in = 0;
  auto star = std::string_view::npos;
  size_t taken = 0;
  while (in < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      taken = in;
    } else if (at < pattern.size() && pattern[at] == text[in]) {
      ++at;
      ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in = ++taken;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*')
    ++at;
  return at == pattern.size();
}

} // namespace sluice
