#pragma once

#include "messages/statement.hpp"
#include "messages/value.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string_view>

/// The form of values in JSON and on the command line (docs/reference/protocol.md). Pure functions, safe from any
/// thread.
namespace sluice {

/// null, integer, real and text as themselves, a blob as `{"$blob":"BASE64"}`, text that is not UTF-8 as
/// `{"$text":"BASE64"}`. JSON has no infinite numbers: `{"$real":"inf"}`, `"-inf"` or `"nan"`. Integers beyond 2^53
/// have the form that `integers` says.
nlohmann::json as_json(const value& content, integer_form integers = integer_form::number);

/// Whether an integer is written as a number: JavaScript's only number, a real of 64 bits, cannot hold every integer
/// beyond 2^53.
constexpr bool is_written_as_number(int64_t number, integer_form form) noexcept {
  constexpr int64_t last_exact = int64_t{1} << 53;
  return form == integer_form::number || (number >= -last_exact && number <= last_exact);
}

/// Reads the output of `as_json`, except that a decimal text stays text: for an integer that is not a JSON number,
/// write `{"$integer":"9007199254740993"}`. `errc::invalid_request` naming `field` for anything else: a boolean, an
/// array, a number that does not fit in 64 bits, invalid Base64.
caf::expected<value> value_from_json(const nlohmann::json& source, std::string_view field);

/// Reads an array (by position), an object (by name, without the prefix) or null (none). `errc::invalid_request` names
/// the entry, as `params[2]` or `params.id` where `field` is `params`.
caf::expected<parameters> parameters_from_json(const nlohmann::json& source, std::string_view field = "params");

/// Reads the VALUE of `-p`: `null`, `5` (integer), `1.5` (real), `text:...`, `blob:BASE64`; anything else is text, also
/// `007`, `+49` and `1e5`. Text may contain any bytes. `errc::invalid_request` for an integer beyond 64 bits and for
/// invalid Base64.
caf::expected<value> parse_cli_value(std::string_view text);

} // namespace sluice
