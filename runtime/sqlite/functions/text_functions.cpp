#include "runtime/sqlite/functions/text_functions.hpp"

#include "actors/base/utf8_text.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::sqlite {

namespace {

constexpr auto npos = std::string_view::npos;

// glibc's memmem takes linear time; std::string_view::find does not.
size_t find_part(std::string_view text, std::string_view part, size_t from) noexcept {
  if (part.empty() || from >= text.size())
    return npos;
  if (part.size() == 1)
    return text.find(part.front(), from);
  const auto* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found ? static_cast<size_t>(static_cast<const char*>(found) - text.data()) : npos;
}

// The end of the character that begins at `from`; SQLite finds it by the first byte.
size_t end_of_character(std::string_view text, size_t from) noexcept {
  auto end = from + 1;
  if (static_cast<unsigned char>(text[from]) >= 0xc0U)
    while (end < text.size() && continues_character(text[end]))
      ++end;
  return end;
}

} // namespace

int64_t find_bytes(std::string_view bytes, std::string_view needle) noexcept {
  if (needle.empty())
    return 1;
  auto at = find_part(bytes, needle, 0);
  return at == npos ? 0 : static_cast<int64_t>(at) + 1;
}

int64_t find_characters(std::string_view text, std::string_view needle) noexcept {
  if (needle.empty() || text.starts_with(needle))
    return 1;
  // No other character begins with such a byte.
  if (continues_character(needle.front()))
    return 0;
  auto at = find_part(text, needle, 0);
  if (at == npos)
    return 0;
  auto others = text.substr(1, at - 1);
  return 2 + static_cast<int64_t>(std::count_if(others.begin(), others.end(), [](char c) {
           return !continues_character(c);
         }));
}

size_t occurrences(std::string_view text, std::string_view pattern) noexcept {
  size_t result = 0;
  for (auto at = find_part(text, pattern, 0); at != npos; at = find_part(text, pattern, at + pattern.size()))
    ++result;
  return result;
}

void replace_into(char* out, std::string_view text, std::string_view pattern, std::string_view substitute) noexcept {
  size_t done = 0;
  for (auto at = find_part(text, pattern, 0); at != npos; at = find_part(text, pattern, done)) {
    out = std::copy(text.data() + done, text.data() + at, out);
    out = std::copy(substitute.begin(), substitute.end(), out);
    done = at + pattern.size();
  }
  std::copy(text.data() + done, text.data() + text.size(), out);
}

trim_set::trim_set(std::string_view characters) {
  single_.fill(absent);
  for (size_t begin = 0; begin < characters.size(); ++count_) {
    auto end = end_of_character(characters, begin);
    auto character = characters.substr(begin, end - begin);
    begin = end;
    if (character.size() > 1) {
      if (longer_.emplace(character, count_).second)
        lengths_.push_back(character.size());
    } else if (auto& place = single_[static_cast<unsigned char>(character.front())]; place == absent) {
      place = count_;
    }
  }
  std::sort(lengths_.begin(), lengths_.end());
  lengths_.erase(std::unique(lengths_.begin(), lengths_.end()), lengths_.end());
}

template <class End> bool trim_set::trim(std::string_view& text, uint64_t& steps, bool is_left, End end) const {
  while (!text.empty()) {
    auto first = single_[static_cast<unsigned char>(is_left ? text.front() : text.back())];
    size_t length = first == absent ? 0 : 1;
    uint64_t looked_at = 1;
    for (auto candidate : lengths_) {
      if (candidate > text.size())
        break;
      looked_at += candidate;
      auto found = longer_.find(end(text, candidate));
      if (found != longer_.end() && found->second < first) {
        first = found->second;
        length = candidate;
      }
    }
    if (looked_at > steps)
      return false;
    steps -= looked_at;
    if (length == 0)
      return true;
    is_left ? text.remove_prefix(length) : text.remove_suffix(length);
  }
  return true;
}

bool trim_set::trim_left(std::string_view& text, uint64_t& steps) const {
  return trim(text, steps, true, [](std::string_view x, size_t length) { return x.substr(0, length); });
}

bool trim_set::trim_right(std::string_view& text, uint64_t& steps) const {
  return trim(text, steps, false, [](std::string_view x, size_t length) { return x.substr(x.size() - length); });
}

} // namespace sluice::sqlite
