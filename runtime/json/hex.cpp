#include "runtime/json/hex.hpp"

namespace sluice {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

// Negative for a character that is no digit.
constexpr int digit_of(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

std::string to_hex(std::string_view bytes) {
  std::string result;
  result.reserve(bytes.size() * 2);
  for (auto c : bytes) {
    result += hex_digits[static_cast<unsigned char>(c) >> 4];
    result += hex_digits[static_cast<unsigned char>(c) & 15];
  }
  return result;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::string result(text.size() / 2, '\0');
  for (size_t i = 0; i < result.size(); ++i) {
    auto high = digit_of(text[2 * i]);
    auto low = digit_of(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    result[i] = static_cast<char>(high << 4 | low);
  }
  return result;
}

} // namespace sluice
