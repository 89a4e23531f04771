#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

/// SQLite's `instr`, `replace` and `trim`, in time linear in their arguments: SQLite's own take the product of two
/// lengths, during which nothing can interrupt them. Use no SQLite; thread-safe.
namespace sluice::sqlite {

/// `instr` of two blobs: the position of the first byte of `needle` in `bytes`, from 1; 0 when it is not found.
int64_t find_bytes(std::string_view bytes, std::string_view needle) noexcept;

/// `instr` of two texts: the same in characters. As in SQLite, a character begins at each byte that is not a
/// continuation byte, and an occurrence begins where a character begins.
int64_t find_characters(std::string_view text, std::string_view needle) noexcept;

/// The number of occurrences of `pattern` in `text` that `replace` finds, from left to right and without overlaps.
/// @pre `pattern` is not empty
size_t occurrences(std::string_view text, std::string_view pattern) noexcept;

/// Writes `text` with every occurrence of `pattern` replaced to `out`, which must have room for it.
/// @pre `pattern` is not empty
void replace_into(char* out, std::string_view text, std::string_view pattern, std::string_view replacement) noexcept;

/// The characters that `trim(X, Y)` removes. Refers to `characters`, which outlives it.
class trim_set {
public:
  /// Splits `characters`, which hold no NUL, as SQLite does.
  explicit trim_set(std::string_view characters);

  bool empty() const noexcept { return count_ == 0; }

  /// Removes characters of the set from the left or the right end, and decreases `steps` by the bytes compared. Stops
  /// when `steps` are used up, which requires text that is not UTF-8; returns false then.
  bool trim_left(std::string_view& text, uint64_t& steps) const;
  bool trim_right(std::string_view& text, uint64_t& steps) const;

private:
  template <class End> bool trim(std::string_view& text, uint64_t& steps, bool is_left, End end) const;

  static constexpr uint32_t absent = UINT32_MAX;

  // The index of each character in the set: if one begins or ends with another, SQLite uses the first.
  std::array<uint32_t, 256> single_;
  std::unordered_map<std::string_view, uint32_t> longer_;
  // The different lengths of `longer_`.
  std::vector<size_t> lengths_;
  uint32_t count_ = 0;
};

} // namespace sluice::sqlite
