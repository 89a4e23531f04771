#include "messages/automatic_key.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace sluice {

namespace {

constexpr std::string_view prefix = "auto-";
constexpr uint64_t time_limit = uint64_t{1} << 48U;

// Removes one field of hexadecimal digits and the dash after it from `text`. `digits` is 0 for any number of digits
// without leading zeros.
bool take_field(std::string_view& text, size_t digits, uint64_t& number) noexcept {
  auto end = std::min(text.find('-'), text.size());
  auto field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (field.empty() || field.size() > 16 || field.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return false;
  if (digits == 0 ? field.front() == '0' && field.size() > 1 : field.size() != digits)
    return false;
  return std::from_chars(field.data(), field.data() + field.size(), number, 16).ec == std::errc{};
}

void append_hex(std::string& to, uint64_t number, size_t digits = 1) {
  std::array<char, 16> buffer{};
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, 16).ptr;
  auto size = static_cast<size_t>(end - buffer.data());
  to.append(std::max(digits, size) - size, '0').append(buffer.data(), size);
}

} // namespace

uint32_t boot_tag_of(std::string_view boot) noexcept {
  if (boot.empty())
    return 0;
  // FNV-1a, 32 bits.
  uint32_t hash = 2'166'136'261;
  for (auto byte : boot)
    hash = (hash ^ static_cast<unsigned char>(byte)) * 16'777'619U;
  return hash == 0 ? 1 : hash;
}

std::string to_string(const automatic_key& key) {
  std::string text{prefix};
  append_hex(text, key.boot, 8);
  append_hex(text += '-', key.since_boot_ms);
  append_hex(text += '-', key.session, 16);
  append_hex(text += '-', key.counter);
  return text;
}

std::optional<automatic_key> parse_automatic_key(std::string_view text) noexcept {
  if (!text.starts_with(prefix) || text.back() == '-')
    return std::nullopt;
  auto left = text.substr(prefix.size());
  automatic_key key;
  uint64_t boot = 0;
  auto is_one = take_field(left, 8, boot) && take_field(left, 0, key.since_boot_ms) && take_field(left, 16, key.session)
                && take_field(left, 0, key.counter) && left.empty();
  if (!is_one || boot == 0 || key.since_boot_ms >= time_limit)
    return std::nullopt;
  key.boot = static_cast<uint32_t>(boot);
  return key;
}

} // namespace sluice
