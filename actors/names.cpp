#include "actors/names.hpp"

#include "actors/sql_words.hpp"
#include "actors/utf8_text.hpp"

namespace sluice {

namespace {

// Bytes of the control character at the front, 0 if there is none.
size_t control_character(std::string_view text) noexcept {
  auto byte = [&](size_t i) -> unsigned { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  auto is = [&](size_t i, unsigned first, unsigned last) { return byte(i) >= first && byte(i) <= last; };
  if (byte(0) < 0x20 || byte(0) == 0x7f)
    return 1;
  if (byte(0) == 0xc2 && is(1, 0x80, 0x9f))
    return 2;
  if (byte(0) == 0xd8 && byte(1) == 0x9c)
    return 2;
  if (byte(0) != 0xe2)
    return 0;
  auto is_mark = byte(1) == 0x80 && (is(2, 0x8e, 0x8f) || is(2, 0xaa, 0xae));
  auto is_isolate = byte(1) == 0x81 && is(2, 0xa6, 0xa9);
  return is_mark || is_isolate ? 3 : 0;
}

bool is_reserved(std::string_view name) {
  return folded_name(name.substr(0, reserved_agents.size())) == reserved_agents;
}

} // namespace

bool has_control_character(std::string_view text) noexcept {
  for (size_t i = 0; i < text.size(); ++i)
    if (control_character(text.substr(i)) > 0)
      return true;
  return false;
}

std::optional<std::string> why_no_name(std::string_view name) {
  if (name.size() > max_name_bytes)
    return "has " + std::to_string(name.size()) + " bytes; at most 256 are allowed";
  if (has_control_character(name))
    return "holds a control character";
  if (!is_utf8(name))
    return "is not valid UTF-8";
  return std::nullopt;
}

std::optional<std::string> why_no_agent(std::string_view name) {
  if (auto why = why_no_name(name))
    return why;
  if (is_reserved(name))
    return "begins with \"sluice:\", as only the broker's own agents do; take another name";
  return std::nullopt;
}

std::string usable_agent(std::string name) {
  for (size_t i = 0; i < name.size();)
    if (auto size = control_character(std::string_view{name}.substr(i)); size > 0)
      name.erase(i, size);
    else
      ++i;
  while (is_reserved(name))
    name.erase(0, reserved_agents.size());
  auto text = take_characters(name, name.size()).text;
  if (text.size() > max_name_bytes) {
    // A character that does not fit as a whole is left out.
    auto end = max_name_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      --end;
    text.resize(end);
  }
  return text;
}

} // namespace sluice
