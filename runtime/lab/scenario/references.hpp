#pragma once

#include "runtime/lab/scenario/source.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// `$(NAME.member.0)` in a text refers to a part of the answer that was kept as NAME, or to the count of a repeat.
namespace sluice::scenario {

/// Returns the value of the text between the parentheses; nothing when it is unknown.
using look_up = std::function<std::optional<nlohmann::json>(std::string_view path)>;

/// Whether the node contains a reference.
bool has_reference(const node& node);

/// Calls `visit` with the path of each reference, and with the position of its text.
void for_each_reference(const node& node, const std::function<void(std::string_view path, place at)>& visit);

/// The value of `node` with its references replaced: a text that is one reference by the value, references in other
/// texts by text. Throws `mistake` for an unknown one.
nlohmann::json resolve(const node& node, const look_up& known);

/// The part of `whole` that `path` (`member.0.member`) names; nothing when there is none.
std::optional<nlohmann::json> part_of(const nlohmann::json& whole, std::string_view path);

} // namespace sluice::scenario
