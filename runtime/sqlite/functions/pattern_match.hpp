#pragma once

#include <cstdint>

namespace sluice::sqlite {

/// The special characters of a pattern, as in SQLite; 0 if there is none. The order is that of SQLite's own structure,
/// of which its planner reads the first three.
struct pattern_rules {
  unsigned char any_run = 0;
  unsigned char any_one = 0;
  unsigned char set = 0;
  unsigned char folds_case = 0;
};

inline constexpr pattern_rules like_rules{'%', '_', 0, 1};
inline constexpr pattern_rules glob_rules{'*', '?', '[', 0};

enum class pattern_verdict : uint8_t { match, no_match, too_much_work };

/// Whether all of `text` matches `pattern`, both NUL-terminated, as in SQLite's LIKE and GLOB. Subtracts the compared
/// characters from `steps` and gives up when they are used up: a pattern may require the product of both lengths.
/// `escape` is the escape character of LIKE, 0 for none. Thread-safe.
pattern_verdict match_pattern(const char* pattern, const char* text, const pattern_rules& rules, uint32_t escape,
                              uint64_t& steps) noexcept;

/// The number of characters of the NUL-terminated `text`, and the first of them, as SQLite reads UTF-8.
uint64_t count_characters(const char* text) noexcept;
uint32_t first_character(const char* text) noexcept;

} // namespace sluice::sqlite
