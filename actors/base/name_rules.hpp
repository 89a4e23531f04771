#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// Rules for the names that appear in the audit, in logs and on terminals. Pure functions.
namespace sluice {

/// The maximum number of bytes in the name of an agent or of a request.
inline constexpr size_t max_name_bytes = 256;

/// Agents whose names begin with this prefix, in any letter case, are parts of the broker.
inline constexpr std::string_view reserved_agents = "sluice:";

/// Whether `name`, in any letter case, is that of the broker or of a part of it.
bool is_name_of_broker(std::string_view name);

/// The reason why `name` is invalid, as "holds a control character"; nothing for a valid name. The empty name is valid.
std::optional<std::string> name_error(std::string_view name);

/// As `name_error`, for an agent's name that a client gives; it may not begin with `reserved_agents` either.
std::optional<std::string> agent_name_error(std::string_view name);

/// `name` without the parts that make it an invalid agent name; possibly empty.
std::string usable_agent(std::string name);

} // namespace sluice
