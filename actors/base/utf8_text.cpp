#include "actors/base/utf8_text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace sluice {

namespace {

// The number of leading ASCII bytes, each of them a character; compares eight bytes at a time.
size_t ascii_prefix(std::string_view text) {
  size_t size = 0;
  for (; text.size() - size >= 8; size += 8) {
    uint64_t chunk;
    std::memcpy(&chunk, text.data() + size, 8);
    if (chunk & 0x8080808080808080ULL)
      break;
  }
  while (size < text.size() && static_cast<unsigned char>(text[size]) < 0x80)
    ++size;
  return size;
}

constexpr unsigned char no_byte = 0;

} // namespace

utf8_character first_character(std::string_view text) noexcept {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : no_byte; };
  auto follows = [&](size_t i, int least = 0x80, int most = 0xbf) { return byte(i) >= least && byte(i) <= most; };
  auto bits = [&](size_t i) { return static_cast<uint32_t>(byte(i) & 0x3f); };
  auto first = byte(0);
  if (first < 0x80)
    return {first, text.empty() ? size_t{0} : size_t{1}};
  if (first >= 0xc2 && first <= 0xdf && follows(1))
    return {(first & 0x1fU) << 6 | bits(1), 2};
  if (first >= 0xe0 && first <= 0xef) {
    auto least = first == 0xe0 ? 0xa0 : 0x80;
    auto most = first == 0xed ? 0x9f : 0xbf;
    if (follows(1, least, most) && follows(2))
      return {(first & 0x0fU) << 12 | bits(1) << 6 | bits(2), 3};
  }
  if (first >= 0xf0 && first <= 0xf4) {
    auto least = first == 0xf0 ? 0x90 : 0x80;
    auto most = first == 0xf4 ? 0x8f : 0xbf;
    if (follows(1, least, most) && follows(2) && follows(3))
      return {(first & 0x07U) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3), 4};
  }
  return {};
}

std::string_view utf8_prefix(std::string_view text, size_t most) noexcept {
  if (text.size() <= most)
    return text;
  while (most > 0 && continues_character(text[most]))
    --most;
  return text.substr(0, most);
}

bool is_utf8(std::string_view text) noexcept {
  // Most text is ASCII. The loop has no early exit, so that the compiler can vectorize it.
  constexpr uint64_t high_bits = 0x8080808080808080ULL;
  uint64_t seen = 0;
  uint64_t chunk = 0;
  for (size_t at = 0; at + 8 <= text.size(); at += 8) {
    std::memcpy(&chunk, text.data() + at, 8);
    seen |= chunk;
  }
  if (text.size() >= 8) {
    std::memcpy(&chunk, text.data() + text.size() - 8, 8);
    seen |= chunk;
  } else {
    for (auto c : text)
      seen |= static_cast<unsigned char>(c);
  }
  if ((seen & high_bits) == 0)
    return true;
  for (;;) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty())
      return true;
    auto character = first_character(text);
    if (character.size == 0)
      return false;
    text.remove_prefix(character.size);
  }
}

bool is_control(uint32_t code_point) noexcept {
  auto within = [&](uint32_t first, uint32_t last) { return code_point >= first && code_point <= last; };
  return code_point < 0x20 || within(0x7f, 0x9f) || code_point == 0x061c || within(0x200e, 0x200f)
         || within(0x2028, 0x202e) || within(0x2066, 0x206f) || code_point == 0xfeff || within(0xfffe, 0xffff);
}

bool has_control(std::string_view text) noexcept {
  while (!text.empty()) {
    auto character = first_character(text);
    if (is_control(character.size > 0 ? character.code_point : static_cast<unsigned char>(text.front())))
      return true;
    text.remove_prefix(std::max<size_t>(character.size, 1));
  }
  return false;
}

std::string escape_invalid_utf8(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  while (!text.empty()) {
    auto size = std::max(ascii_prefix(text), first_character(text).size);
    if (size > 0) {
      result.append(text, 0, size);
    } else {
      size = 1;
      auto byte = static_cast<unsigned char>(text.front());
      result += {'\\', 'x', digits[byte >> 4U], digits[byte & 15U]};
    }
    text.remove_prefix(size);
  }
  return result;
}

cut_text take_characters(std::string_view text, size_t most) {
  if (!is_utf8(text))
    return take_characters(escape_invalid_utf8(text), most);
  size_t at = 0;
  while (at < text.size() && most > 0) {
    auto rest = text.substr(at);
    auto plain = ascii_prefix(rest.substr(0, most));
    at += plain > 0 ? plain : first_character(rest).size;
    most -= std::max<size_t>(plain, 1);
  }
  return {std::string{text.substr(0, at)}, at < text.size()};
}

} // namespace sluice
