#pragma once

#include "messages/value.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string_view>

namespace sluice {

/// The value that `source` stands for, in the forms that `value_from_json` names; nothing when it is none.
std::optional<value> plain_value(const nlohmann::json& source);

/// A value as it is given on the command line: 5 is an integer, 1.5 a real, null NULL, text:5 text, blob:BASE64 a blob,
/// anything else text. Nothing for a number that does not fit in 64 bits, or what is not Base64.
std::optional<value> value_from_word(std::string_view text);

} // namespace sluice
