#include "runtime/json/hex.hpp"

#include <algorithm>

namespace sluice {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

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
  auto is_digit = [](char c) { return hex_digits.find(c) != std::string_view::npos; };
  if (text.size() % 2 != 0 || !std::all_of(text.begin(), text.end(), is_digit))
    return std::nullopt;
  std::string result;
  for (size_t i = 0; i < text.size(); i += 2)
    result.push_back(static_cast<char>(hex_digits.find(text[i]) << 4U | hex_digits.find(text[i + 1])));
  return result;
}

} // namespace sluice
