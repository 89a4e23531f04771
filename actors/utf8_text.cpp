#include "actors/utf8_text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace sluice {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

// Bytes at the front that are ASCII, each a character; told eight at a time.
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

// Bytes of the well-formed character at the front, which is no ASCII; 0 if there is none. What may follow a first byte
// is Unicode's table 3-7: no overlong forms, no surrogates, nothing beyond U+10FFFF.
size_t wide_character(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  auto follows = [&](size_t i, int least = 0x80, int most = 0xbf) { return byte(i) >= least && byte(i) <= most; };
  auto first = byte(0);
  if (first >= 0xc2 && first <= 0xdf)
    return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    auto least = first == 0xe0 ? 0xa0 : 0x80;
    auto most = first == 0xed ? 0x9f : 0xbf;
    return follows(1, least, most) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    auto least = first == 0xf0 ? 0x90 : 0x80;
    auto most = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, least, most) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

} // namespace

bool is_valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    auto plain = ascii_prefix(text);
    text.remove_prefix(plain);
    if (text.empty())
      return true;
    auto size = wide_character(text);
    if (size == 0)
      return false;
    text.remove_prefix(size);
  }
  return true;
}

cut_text take_characters(std::string_view text, size_t most) {
  cut_text result;
  // What has been looked at, and how much of it has been taken over.
  size_t at = 0;
  size_t taken = 0;
  while (at < text.size() && most > 0) {
    auto rest = text.substr(at);
    if (auto plain = ascii_prefix(rest.substr(0, most)); plain > 0) {
      at += plain;
      most -= plain;
      continue;
    }
    auto size = wide_character(rest);
    if (size == 0) {
      result.text.append(text, taken, at - taken).append(replacement);
      taken = at + 1;
    }
    at += std::max<size_t>(size, 1);
    --most;
  }
  result.text.append(text, taken, at - taken);
  result.cut = at < text.size();
  return result;
}

} // namespace sluice
