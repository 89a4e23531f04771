#pragma once

#include "messages/value.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string_view>

namespace sluice {

/// The value of `source` in the forms that `value_from_json` accepts; nothing for any other form.
std::optional<value> plain_value(const nlohmann::json& source);

/// A value on the command line: 5 is an integer, 1.5 a real, null NULL, text:5 text, blob:BASE64 a blob, anything else
/// text. Nothing for a number that does not fit in 64 bits, for invalid Base64, or for a file
/// (`text:@FILE`).
std::optional<value> value_from_word(std::string_view text);

} // namespace sluice
