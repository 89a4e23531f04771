#pragma once

#include <string>
#include <string_view>

namespace sluice {

/// The idempotency key of an agent whose keys are its own, as ledgers store it: the name, a byte that neither names nor
/// keys may contain, and the key. Agents cannot send such a key.
inline std::string own_key(std::string_view agent, std::string_view key) {
  std::string result{agent};
  result += '\x1f';
  result += key;
  return result;
}

/// The key as the agent gave it, from any stored one.
inline std::string_view given_key(std::string_view stored) noexcept {
  auto separator = stored.find('\x1f');
  return separator == std::string_view::npos ? stored : stored.substr(separator + 1);
}

} // namespace sluice
