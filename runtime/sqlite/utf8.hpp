#pragma once

#include <boost/locale/utf.hpp>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::sqlite {

/// Whether `text` is well-formed UTF-8; ASCII is told eight bytes at a time.
inline bool is_utf8(std::string_view text) noexcept {
  const auto* at = text.data();
  const auto* end = at + text.size();
  while (end - at >= 8) {
    uint64_t chunk;
    std::memcpy(&chunk, at, 8);
    if (chunk & 0x8080808080808080ULL)
      break;
    at += 8;
  }
  while (at != end) {
    auto c = boost::locale::utf::utf_traits<char>::decode(at, end);
    if (c == boost::locale::utf::illegal || c == boost::locale::utf::incomplete)
      return false;
  }
  return true;
}

} // namespace sluice::sqlite
