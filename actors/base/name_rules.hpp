#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// What may be a name that ends up in the audit, in logs and on terminals. Pure functions.
namespace sluice {

/// The most bytes that the name of an agent or of a request may have.
inline constexpr size_t max_name_bytes = 256;

/// Agents whose names begin with this, in any letter case, are parts of the broker.
inline constexpr std::string_view reserved_agents = "sluice:";

/// Why `name` is none for a request, as "holds a control character"; nothing if it is one. Empty is a name.
std::optional<std::string> why_no_name(std::string_view name);

/// The same for what a client calls an agent, which may not be one of the broker's own.
std::optional<std::string> why_no_agent(std::string_view name);

/// `name` without what would make it no name for an agent: what is left of it, possibly nothing.
std::string usable_agent(std::string name);

} // namespace sluice
