#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Text of others, byte by byte: what is valid UTF-8 (Unicode's table 3-7: no overlong forms, no surrogates, nothing
/// beyond U+10FFFF), and what a terminal would act on instead of showing it. Pure functions, safe from any thread.
namespace sluice {

/// The character at the front of a text.
struct utf8_character {
  uint32_t code_point = 0;
  /// Bytes, 1 to 4; 0 if the text is empty or does not begin with a valid character.
  size_t size = 0;
};

utf8_character first_character(std::string_view text) noexcept;

/// Whether `byte` of UTF-8 belongs to the character that began before it.
constexpr bool continues_character(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U; }

/// The first `most` bytes of `text`, without the character at their end that does not fit as a whole.
std::string_view utf8_prefix(std::string_view text, size_t most) noexcept;

/// Whether all of `text` is valid UTF-8. ASCII is checked eight bytes at a time.
bool is_utf8(std::string_view text) noexcept;

/// Whether a terminal acts on the code point instead of showing it: C0, DEL, C1, marks, embeddings, overrides and
/// isolates of writing direction, line and paragraph separators, the byte order mark, U+FFFE and U+FFFF.
bool is_control(uint32_t code_point) noexcept;

/// Whether `text` holds a code point for which `is_control` is true, or, outside of valid UTF-8, a byte from 0x80 to
/// 0x9f (a C1 control to a terminal of 8 bits). Names that hold one are to be refused, and output to a terminal is
/// escaped.
bool has_control(std::string_view text) noexcept;

/// `text` with each byte that belongs to no character as `\xNN`, for people: nothing else is changed.
std::string escape_invalid_utf8(std::string_view text);

/// A text made fit to be kept.
struct cut_text {
  std::string text;
  /// Whether something was left out at the end.
  bool cut = false;
};

/// The first `most` characters (code points) of `text` after `escape_invalid_utf8`, so valid UTF-8. For texts that
/// people read, such as log messages; never for values of a database.
cut_text take_characters(std::string_view text, size_t most);

} // namespace sluice
