#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice {

/// Trust, ascending: an agent of a tier may call operations that need it or a lower one.
enum class tier : uint8_t { untrusted, basic, verified, core };

inline constexpr std::array<std::string_view, 4> tier_names{"untrusted", "basic", "verified", "core"};

constexpr std::string_view to_string(tier tier) { return tier_names[static_cast<size_t>(tier)]; }

/// The reverse; nothing for any other word.
constexpr std::optional<tier> tier_of(std::string_view name) noexcept {
  for (size_t i = 0; i < tier_names.size(); ++i)
    if (tier_names[i] == name)
      return static_cast<tier>(i);
  return std::nullopt;
}

} // namespace sluice
