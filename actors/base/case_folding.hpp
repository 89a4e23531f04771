#pragma once

#include <algorithm>
#include <string>
#include <string_view>

/// Case as SQLite defines it: only the 26 ASCII letters have two cases, in every locale. Pure functions, safe from any
/// thread.
namespace sluice {

constexpr bool is_ascii_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// The lower-case form of a byte or a code point.
template <class Character> constexpr Character ascii_lower(Character c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<Character>(c + ('a' - 'A')) : c;
}

template <class Character> constexpr Character ascii_upper(Character c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<Character>(c - ('a' - 'A')) : c;
}

/// `name` in lower case: equal for names that SQLite considers equal.
inline std::string folded_name(std::string_view name) {
  std::string result{name};
  std::transform(result.begin(), result.end(), result.begin(), ascii_lower<char>);
  return result;
}

/// `text` with its ASCII letters in capitals, as keywords and environment variables are written.
inline std::string in_capitals(std::string_view text) {
  std::string result{text};
  std::transform(result.begin(), result.end(), result.begin(), ascii_upper<char>);
  return result;
}

/// Whether SQLite considers the names equal.
constexpr bool same_name(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size()
         && std::equal(a.begin(), a.end(), b.begin(), [](char c, char d) { return ascii_lower(c) == ascii_lower(d); });
}

/// Whether `text` begins with `prefix`, letters compared without case.
constexpr bool starts_with_name(std::string_view text, std::string_view prefix) noexcept {
  return same_name(text.substr(0, prefix.size()), prefix);
}

} // namespace sluice
