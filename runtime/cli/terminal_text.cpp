#include "runtime/cli/terminal_text.hpp"

#include <algorithm>
#include <boost/locale/utf.hpp>
#include <cstdint>
#include <fmt/format.h>
#include <iterator>

namespace sluice::cli {

namespace {

using utf8 = boost::locale::utf::utf_traits<char>;

bool is_unsafe(uint32_t c) noexcept {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f)    // controls
         || c == 0x061c || c == 0x200e || c == 0x200f // marks of direction
         || (c >= 0x2028 && c <= 0x202e)         // line and paragraph separators, embeddings, overrides
         || (c >= 0x2066 && c <= 0x2069)         // isolates
         || c == 0xfeff;                         // nothing to be seen
}

void append_escaped(std::string& to, uint32_t c) {
  switch (c) {
  case '\n': to += "\\n"; break;
  case '\r': to += "\\r"; break;
  case '\t': to += "\\t"; break;
  default: to += c < 0x80 ? fmt::format("\\x{:02x}", c) : fmt::format("\\u{:04x}", c);
  }
}

} // namespace

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  const auto* end = text.data() + text.size();
  for (const auto* at = text.data(); at != end;) {
    const auto* start = at;
    auto c = utf8::decode(at, end);
    if (c == boost::locale::utf::illegal || c == boost::locale::utf::incomplete) {
      // A byte at a time, so that a valid character behind it is seen.
      at = start + 1;
      fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(*start));
    } else if (is_unsafe(c)) {
      append_escaped(result, c);
    } else {
      result.append(start, at);
    }
  }
  return result;
}

size_t width(std::string_view text) noexcept {
  auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

} // namespace sluice::cli
