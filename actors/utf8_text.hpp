#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice {

/// A text made fit to be kept.
struct cut_text {
  std::string text;
  /// Whether something was left out at the end.
  bool cut = false;
};

/// The first `most` characters (code points) of `text`, as valid UTF-8: each byte that belongs to no character becomes
/// U+FFFD, and counts as one.
cut_text take_characters(std::string_view text, size_t most);

/// Whether `text` is well-formed UTF-8.
bool is_valid_utf8(std::string_view text) noexcept;

} // namespace sluice
