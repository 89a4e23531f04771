#include "runtime/sqlite/functions/format_cost.hpp"

#include <cstring>
#include <string_view>

namespace sluice::sqlite {

namespace {

bool is_one_of(std::string_view all, char c) noexcept { return c != '\0' && all.find(c) != std::string_view::npos; }

// Parsed like SQLite: a number of 32 bits, of which 31 are used.
uint64_t digits(const char*& at) noexcept {
  uint32_t result = 0;
  for (; *at >= '0' && *at <= '9'; ++at)
    result = result * 10 + static_cast<uint32_t>(*at - '0');
  return result & 0x7fffffffU;
}

uint64_t given(int64_t number) noexcept {
  auto narrow = static_cast<int32_t>(static_cast<uint32_t>(number));
  return static_cast<uint64_t>(narrow < 0 ? -int64_t{narrow} : int64_t{narrow});
}

} // namespace

uint64_t format_cost(const char* format, const std::function<int64_t(size_t)>& number) {
  uint64_t result = 0;
  size_t next = 1;
  auto size = [&](const char*& at) {
    if (*at != '*')
      return digits(at);
    ++at;
    return given(number(next++));
  };
  for (const auto* at = std::strchr(format, '%'); at; at = std::strchr(at, '%')) {
    ++at;
    uint64_t precision = 0;
    for (;;) {
      if (is_one_of("-+ #!0,l", *at))
        ++at;
      else if (*at == '.')
        precision = size(++at);
      else if (is_one_of("123456789*", *at))
        result += size(at);
      else
        break;
    }
    // The precision of a text only truncates it.
    if (!is_one_of("szqQw", *at))
      result += precision;
    if (*at == '\0')
      break;
    if (!is_one_of("n%", *at))
      ++next;
    ++at;
  }
  return result;
}

} // namespace sluice::sqlite
