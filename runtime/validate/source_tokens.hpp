#pragma once

#include "runtime/validate/source_language.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::validate {

/// `symbol` is a single character; `line_end` exists in Python alone.
enum class token_kind : uint8_t { word, number, string, symbol, line_end };

struct token {
  token_kind kind = token_kind::symbol;
  /// A part of the source; of a string what stands between its quotes, with escapes as they are written.
  std::string_view text{};
};

/// The tokens of a source without comments, in linear time. The lexer is tolerant: it accepts every text, and a string
/// that is not closed ends with its line. Code within f-strings of Python is part of the string; the code within
/// `${}` of JavaScript is not. The tokens refer to `source`. @pre `of` is not `shell`
std::vector<token> tokens_of(std::string_view source, language of);

/// Tokens by index; there are empty symbols after the last one, and none is at `npos`.
class token_view {
public:
  explicit token_view(const std::vector<token>& tokens) noexcept : tokens_(tokens) {}

  size_t size() const noexcept { return tokens_.size(); }
  const token& operator[](size_t i) const noexcept { return i < tokens_.size() ? tokens_[i] : none_; }

  bool is(size_t i, token_kind kind) const noexcept { return i < tokens_.size() && tokens_[i].kind == kind; }
  bool is_word(size_t i) const noexcept { return is(i, token_kind::word); }
  bool is_word(size_t i, std::string_view text) const noexcept { return is_word(i) && tokens_[i].text == text; }
  bool is_string(size_t i) const noexcept { return is(i, token_kind::string); }
  bool is_symbol(size_t i, char c) const noexcept { return is(i, token_kind::symbol) && tokens_[i].text[0] == c; }

private:
  const std::vector<token>& tokens_;
  token none_{};
};

} // namespace sluice::validate
