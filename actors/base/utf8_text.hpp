#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Checks and escapes text of unknown origin, byte by byte: which bytes are valid UTF-8 (Unicode's table 3-7: no
/// overlong forms, no surrogates, nothing beyond U+10FFFF), and which a terminal would interpret instead of displaying.
/// Pure functions, safe from any thread.
namespace sluice {

/// The character at the front of a text.
struct utf8_character {
  uint32_t code_point = 0;
  /// Bytes, 1 to 4; 0 if the text is empty or does not begin with a valid character.
  size_t size = 0;
};

utf8_character first_character(std::string_view text) noexcept;

/// Whether `byte` is a continuation byte of UTF-8.
constexpr bool continues_character(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U; }

/// The first `most` bytes of `text`, without an incomplete character at their end.
std::string_view utf8_prefix(std::string_view text, size_t most) noexcept;

/// Whether all of `text` is valid UTF-8. ASCII is checked eight bytes at a time.
bool is_utf8(std::string_view text) noexcept;

/// Whether a terminal interprets the code point instead of displaying it: C0, DEL, C1, marks, embeddings, overrides and
/// isolates of writing direction, line and paragraph separators, the byte order mark, U+FFFE and U+FFFF.
bool is_control(uint32_t code_point) noexcept;

/// Whether `text` contains a code point for which `is_control` is true or, outside of valid UTF-8, a byte from 0x80 to
/// 0x9f (a C1 control to a terminal of 8 bits). Callers refuse such names and escape such output to terminals.
bool has_control(std::string_view text) noexcept;

/// `text` for people, with each byte that is not part of a valid character written as `\xNN`.
std::string escape_invalid_utf8(std::string_view text);

/// The result of `take_characters`.
struct cut_text {
  std::string text;
  /// Whether the end was removed.
  bool cut = false;
};

/// The first `most` characters (code points) of `text` after `escape_invalid_utf8`, so valid UTF-8. For texts that
/// people read, such as log messages; never for values of a database.
cut_text take_characters(std::string_view text, size_t most);

} // namespace sluice
