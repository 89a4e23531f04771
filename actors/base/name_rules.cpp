#include "actors/base/name_rules.hpp"

#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"

#include <algorithm>

namespace sluice {

namespace {

// Covers nearly every name. The loop has no early exit, so that the compiler can vectorize it.
bool is_printable_ascii(std::string_view name) noexcept {
  auto has_other = false;
  for (auto c : name) {
    auto byte = static_cast<unsigned char>(c);
    has_other |= byte < 0x20 || byte >= 0x7f;
  }
  return !has_other;
}

bool is_reserved(std::string_view name) {
  return name.size() >= reserved_agents.size()
         && folded_name(name.substr(0, reserved_agents.size())) == reserved_agents;
}

} // namespace

bool is_name_of_broker(std::string_view name) {
  return is_reserved(name) || folded_name(name) == reserved_agents.substr(0, reserved_agents.size() - 1);
}

std::optional<std::string> name_error(std::string_view name) {
  if (name.size() > max_name_bytes)
    return "has " + std::to_string(name.size()) + " bytes; at most 256 are allowed";
  if (is_printable_ascii(name))
    return std::nullopt;
  if (!is_utf8(name))
    return "is not valid UTF-8";
  if (has_control(name))
    return "holds a control character";
  return std::nullopt;
}

std::optional<std::string> agent_name_error(std::string_view name) {
  if (auto error = name_error(name))
    return error;
  if (is_reserved(name))
    return "begins with \"sluice:\", as only the broker's own agents do; take another name";
  return std::nullopt;
}

std::string usable_agent(std::string name) {
  std::string text;
  for (std::string_view rest = name; !rest.empty();) {
    auto character = first_character(rest);
    if (character.size > 0 && !is_control(character.code_point))
      text += rest.substr(0, character.size);
    rest.remove_prefix(std::max<size_t>(character.size, 1));
  }
  while (is_reserved(text))
    text.erase(0, reserved_agents.size());
  text.resize(utf8_prefix(text, max_name_bytes).size());
  return text;
}

} // namespace sluice
