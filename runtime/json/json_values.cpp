#include "runtime/json/json_values.hpp"

#include "messages/error.hpp"
#include "runtime/json/json_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

namespace sluice {

namespace {

using nlohmann::json;

constexpr std::string_view too_wide = "does not fit in 64 bits; use text or a real";

json integer_as_json(int64_t number, integer_form form) {
  if (is_written_as_number(number, form))
    return number;
  if (form == integer_form::text)
    return std::to_string(number);
  return {{"$integer", std::to_string(number)}};
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t result = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (failed != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return result;
}

caf::expected<value> tagged_from_json(const json& object, std::string_view field) {
  constexpr std::string_view shape =
    R"(must be null, a number, a text, {"$blob":"BASE64"}, {"$text":"BASE64"}, {"$integer":"5"} or {"$real":"inf"})";
  if (object.size() != 1 || !object.begin()->is_string())
    return make_error(invalid_field(field, shape));
  const auto& content = object.begin()->get_ref<const std::string&>();
  if (object.begin().key() == "$blob") {
    auto bytes = from_base64(content);
    if (!bytes)
      return make_error(invalid_field(field, "holds a $blob that is not Base64 (with padding)"));
    return value{blob{std::move(*bytes)}};
  }
  if (object.begin().key() == "$text") {
    auto bytes = from_base64(content);
    if (!bytes)
      return make_error(invalid_field(field, "holds a $text that is not Base64 (with padding)"));
    return value{std::move(*bytes)};
  }
  if (object.begin().key() == "$integer") {
    if (auto number = whole_number(content))
      return value{*number};
    return make_error(invalid_field(field, "holds an $integer that is not a decimal text of 64 bits"));
  }
  constexpr auto infinite = std::numeric_limits<double>::infinity();
  if (object.begin().key() == "$real" && (content == "inf" || content == "-inf"))
    return value{content == "inf" ? infinite : -infinite};
  if (object.begin().key() == "$real" && content == "nan")
    return value{std::numeric_limits<double>::quiet_NaN()};
  return make_error(invalid_field(field, shape));
}

std::string_view skip_digits(std::string_view text) {
  auto end = text.find_first_not_of("0123456789");
  return end == std::string_view::npos ? std::string_view{} : text.substr(end);
}

bool starts_with_digit(std::string_view text) { return !text.empty() && text[0] >= '0' && text[0] <= '9'; }

enum class numeral : uint8_t { none, integer, real };

// JSON's grammar of numbers, except that a real needs its point: whatever would not read back as it was typed, such as
// a postal code or a hash, stays text.
numeral classify_number(std::string_view text) {
  if (text.starts_with('-'))
    text.remove_prefix(1);
  if (!starts_with_digit(text))
    return numeral::none;
  text = text[0] == '0' ? text.substr(1) : skip_digits(text);
  if (text.empty())
    return numeral::integer;
  if (text[0] != '.' || !starts_with_digit(text.substr(1)))
    return numeral::none;
  text = skip_digits(text.substr(1));
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+'))
      text.remove_prefix(1);
    if (!starts_with_digit(text))
      return numeral::none;
    text = skip_digits(text);
  }
  return text.empty() ? numeral::real : numeral::none;
}

template <class Number> caf::expected<value> parse_number(std::string_view text) {
  Number result{};
  if (std::from_chars(text.data(), text.data() + text.size(), result).ec != std::errc{})
    return make_error(invalid_field(fmt::format("-p {}", text), "does not fit in 64 bits; use text: or a real"));
  return value{result};
}

} // namespace

json as_json(const value& content, integer_form integers) {
  switch (content.kind()) {
  case value_kind::null: return nullptr;
  case value_kind::integer: return integer_as_json(*content.integer(), integers);
  case value_kind::real:
    if (std::isfinite(*content.real()))
      return *content.real();
    return {{"$real", std::isnan(*content.real()) ? "nan" : *content.real() > 0 ? "inf" : "-inf"}};
  case value_kind::text: return text_as_json(*content.text());
  case value_kind::blob: return {{"$blob", to_base64(*content.blob_bytes())}};
  }
  return nullptr;
}

caf::expected<value> value_from_json(const json& source, std::string_view field) {
  switch (source.type()) {
  case json::value_t::null: return value{};
  case json::value_t::number_integer: return value{source.get<int64_t>()};
  case json::value_t::number_unsigned:
    if (source.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return make_error(invalid_field(field, too_wide));
    return value{source.get<int64_t>()};
  case json::value_t::number_float: return value{source.get<double>()};
  case json::value_t::string: return value{source.get<std::string>()};
  case json::value_t::object: return tagged_from_json(source, field);
  case json::value_t::boolean:
    return make_error(invalid_field(field, "is a boolean, which SQLite does not have; use 1 or 0"));
  default:
    return make_error(
      invalid_field(field, "is an array; a value must be null, a number, a text or {\"$blob\":\"BASE64\"}"));
  }
}

caf::expected<parameters> parameters_from_json(const json& source, std::string_view field) {
  parameters result;
  if (source.is_null())
    return result;
  if (!source.is_array() && !source.is_object())
    return make_error(invalid_field(field, "must be an array (by position) or an object (by name)"));
  for (size_t i = 0; source.is_array() && i < source.size(); ++i) {
    auto content = value_from_json(source[i], fmt::format("{}[{}]", field, i));
    if (!content)
      return std::move(content.error());
    result.positional.push_back(std::move(*content));
  }
  for (auto i = source.begin(); source.is_object() && i != source.end(); ++i) {
    auto name = fmt::format("{}.{}", field, i.key());
    if (i.key().empty() || std::string_view{":@$"}.find(i.key()[0]) != std::string_view::npos)
      return make_error(invalid_field(name, "must be named, and without the prefix"));
    auto content = value_from_json(*i, name);
    if (!content)
      return std::move(content.error());
    result.named.push_back({i.key(), std::move(*content)});
  }
  return result;
}

caf::expected<value> parse_cli_value(std::string_view text) {
  if (text == "null")
    return value{};
  if (text.starts_with("text:"))
    return value{text.substr(5)};
  if (text.starts_with("blob:")) {
    auto bytes = from_base64(text.substr(5));
    if (!bytes)
      return make_error(invalid_field("-p blob:", "is not followed by Base64 (with padding)"));
    return value{blob{std::move(*bytes)}};
  }
  switch (classify_number(text)) {
  case numeral::integer: return parse_number<int64_t>(text);
  case numeral::real: return parse_number<double>(text);
  case numeral::none: break;
  }
  return value{text};
}

} // namespace sluice
