#include "runtime/sqlite/functions/pattern_match.hpp"

#include "actors/base/case_folding.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace sluice::sqlite {

namespace {

constexpr uint32_t first_of_several = 0xc0;
constexpr uint32_t replacement = 0xfffd;

bool continues(unsigned char byte) noexcept { return (byte & 0xc0U) == 0x80U; }

uint32_t bits_of_first_byte(uint32_t byte) noexcept {
  if (byte < 0xe0)
    return byte & 0x1fU;
  if (byte < 0xf0)
    return byte & 0x0fU;
  if (byte < 0xf8)
    return byte & 0x07U;
  if (byte < 0xfc)
    return byte & 0x03U;
  return byte < 0xfe ? byte & 0x01U : 0;
}

// Reads invalid UTF-8 like SQLite.
uint32_t read(const unsigned char*& at) noexcept {
  uint32_t c = *at++;
  if (c < first_of_several)
    return c;
  c = bits_of_first_byte(c);
  while (continues(*at))
    c = (c << 6U) + (*at++ & 0x3fU);
  return c < 0x80 || (c & 0xfffff800U) == 0xd800 || (c & 0xfffffffeU) == 0xfffe ? replacement : c;
}

void skip(const unsigned char*& at) noexcept {
  if (*at++ >= first_of_several)
    while (continues(*at))
      ++at;
}

const unsigned char* unsigned_bytes(const char* text) noexcept { return reinterpret_cast<const unsigned char*>(text); }

// One comparison. Only the last run of any characters is ever extended: after its continuation has been found as far to
// the left as possible, no other position of earlier runs can find more.
class matching {
public:
  matching(const char* pattern, const char* text, const pattern_rules& rules, uint32_t special, uint64_t& steps)
    : pattern_(unsigned_bytes(pattern)), text_(unsigned_bytes(text)), rules_(rules), special_(special), steps_(steps) {
    for (size_t c = 1; c < is_plain_.size(); ++c)
      is_plain_[c] = c != rules.any_run && c != rules.any_one && c != special;
  }

  pattern_verdict run() noexcept {
    for (;;) {
      auto end = compare();
      if (end == step::too_much)
        return pattern_verdict::too_much_work;
      if (end == step::matched)
        return pattern_verdict::match;
      if (end == step::never || !has_run_ || !extend_run())
        return pattern_verdict::no_match;
    }
  }

private:
  // The result of a comparison: after `differs` a longer run before may still match, after `never` none can.
  enum class step : uint8_t { goes_on, matched, differs, never, too_much };

  step compare() noexcept {
    for (;;) {
      auto is_same = compare_plain();
      if (steps_ == 0)
        return step::too_much;
      if (!is_same)
        return step::differs;
      auto c = read(pattern_);
      if (c == 0)
        break;
      --steps_;
      auto now = c == rules_.any_run ? begin_run() : compare_one(c);
      if (now != step::goes_on)
        return now;
    }
    return *text_ == 0 ? step::matched : step::differs;
  }

  // Skips the part where both are ASCII without a special meaning, which covers most comparisons. False when they
  // differ.
  bool compare_plain() noexcept {
    const auto* pattern = pattern_;
    const auto* text = text_;
    auto is_same = true;
    // Checked in this order: after a difference the text may have ended.
    while (is_same && *pattern < 0x80 && is_plain_[*pattern] && *text < 0x80) {
      is_same = *pattern == *text || (rules_.folds_case != 0 && ascii_lower(*pattern) == ascii_lower(*text));
      ++pattern;
      ++text;
    }
    auto count = static_cast<uint64_t>(pattern - pattern_);
    steps_ -= std::min(steps_, count);
    pattern_ = pattern;
    text_ = text;
    return is_same;
  }

  step compare_one(uint32_t c) noexcept {
    if (c == special_ && special_ != 0) {
      if (rules_.set != 0)
        return compare_set();
      c = read(pattern_);
      if (c == 0)
        return step::differs;
      escaped_ = pattern_;
    }
    auto other = read(text_);
    auto is_same =
      c == other || (rules_.folds_case != 0 && c < 0x80 && other < 0x80 && ascii_lower(c) == ascii_lower(other));
    if (is_same || (c == rules_.any_one && pattern_ != escaped_ && other != 0))
      return step::goes_on;
    return step::differs;
  }

  step compare_set() noexcept {
    auto c = read(text_);
    if (c == 0)
      return step::differs;
    uint32_t before = 0;
    auto is_in = false;
    auto next = read(pattern_);
    auto inverts = next == '^';
    if (inverts)
      next = read(pattern_);
    if (next == ']') {
      is_in = c == ']';
      next = read(pattern_);
    }
    for (; next != 0 && next != ']'; next = read(pattern_)) {
      if (steps_ == 0)
        return step::too_much;
      --steps_;
      if (next == '-' && *pattern_ != ']' && *pattern_ != 0 && before > 0) {
        next = read(pattern_);
        is_in |= c >= before && c <= next;
        before = 0;
      } else {
        is_in |= c == next;
        before = next;
      }
    }
    return next != 0 && is_in != inverts ? step::goes_on : step::differs;
  }

  step begin_run() noexcept {
    auto c = read(pattern_);
    for (; c == rules_.any_run || (c == rules_.any_one && c != 0); c = read(pattern_))
      if (c == rules_.any_one && read(text_) == 0)
        return step::never;
    if (c == 0)
      return step::matched;
    begins_with_set_ = c == special_ && rules_.set != 0;
    if (c == special_ && !begins_with_set_) {
      c = read(pattern_);
      if (c == 0)
        return step::never;
    }
    has_run_ = true;
    after_run_ = begins_with_set_ ? pattern_ - 1 : pattern_;
    first_ = c;
    next_ = text_;
    return extend_run() ? step::goes_on : step::never;
  }

  // Advances to the next position where the continuation of the run may begin.
  bool extend_run() noexcept {
    pattern_ = after_run_;
    escaped_ = nullptr;
    if (begins_with_set_) {
      if (*next_ == 0)
        return false;
      text_ = next_;
      skip(next_);
      return true;
    }
    if (!find_first())
      return false;
    text_ = next_;
    return true;
  }

  bool find_first() noexcept {
    if (first_ < 0x80) {
      const char stops[] = {static_cast<char>(rules_.folds_case ? ascii_upper(first_) : first_),
                            static_cast<char>(rules_.folds_case ? ascii_lower(first_) : first_), 0};
      if (*next_ != static_cast<unsigned char>(stops[0]) && *next_ != static_cast<unsigned char>(stops[1]))
        next_ += std::strcspn(reinterpret_cast<const char*>(next_), stops);
      if (*next_ == 0)
        return false;
      ++next_;
      return true;
    }
    while (auto c = read(next_))
      if (c == first_)
        return true;
    return false;
  }

  const unsigned char* pattern_;
  const unsigned char* text_;
  const pattern_rules& rules_;
  // The character that begins a set, or escapes.
  const uint32_t special_;
  uint64_t& steps_;
  std::array<bool, 0x80> is_plain_{};
  const unsigned char* escaped_ = nullptr;
  // For the last run: its continuation, the first character of that, and the next position in the text to search.
  bool has_run_ = false;
  bool begins_with_set_ = false;
  const unsigned char* after_run_ = nullptr;
  uint32_t first_ = 0;
  const unsigned char* next_ = nullptr;
};

} // namespace

pattern_verdict match_pattern(const char* pattern, const char* text, const pattern_rules& rules, uint32_t escape,
                              uint64_t& steps) noexcept {
  return matching{pattern, text, rules, rules.set != 0 ? rules.set : escape, steps}.run();
}

uint64_t count_characters(const char* text) noexcept {
  uint64_t result = 0;
  for (const auto* at = unsigned_bytes(text); *at != 0; ++result)
    skip(at);
  return result;
}

uint32_t first_character(const char* text) noexcept {
  const auto* at = unsigned_bytes(text);
  return *at == 0 ? 0 : read(at);
}

} // namespace sluice::sqlite
