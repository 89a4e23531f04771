#include "runtime/cli/terminal_text.hpp"

#include "actors/base/utf8_text.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <iterator>

namespace sluice::cli {

namespace {

void append_escaped(std::string& to, uint32_t c) {
  switch (c) {
  case '\n': to += "\\n"; break;
  case '\r': to += "\\r"; break;
  case '\t': to += "\\t"; break;
  default: to += c < 0x80 ? fmt::format("\\x{:02x}", c) : fmt::format("\\u{:04x}", c);
  }
}

// `escape` appends the escaped form of a code point that a terminal would interpret.
template <class Escape> std::string escaped(std::string_view text, Escape escape) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    auto [code_point, size] = first_character(text);
    if (size == 0) {
      // Skips one byte, so that a valid character after it is recognized.
      size = 1;
      fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(text.front()));
    } else if (is_control(code_point)) {
      escape(result, code_point);
    } else {
      result.append(text, 0, size);
    }
    text.remove_prefix(size);
  }
  return result;
}

} // namespace

std::string printable(std::string_view text) { return escaped(text, append_escaped); }

std::string printable_lines(std::string_view text) {
  return escaped(text, [](std::string& to, uint32_t c) { c == '\n' ? void(to += '\n') : append_escaped(to, c); });
}

std::string printable_json(std::string_view documents) {
  return escaped(documents, [](std::string& to, uint32_t c) {
    if (c == '\n')
      to += '\n';
    else
      fmt::format_to(std::back_inserter(to), "\\u{:04x}", c);
  });
}

size_t width(std::string_view text) noexcept {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

} // namespace sluice::cli
