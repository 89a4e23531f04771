#include "runtime/json/json_values.hpp"

#include "messages/error.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/json/plain_values.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <utility>

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

// The reason why an object is not a value.
std::string_view tagged_value_error(const json& object) {
  if (object.size() == 1 && object.begin()->is_string()) {
    const auto& kind = object.begin().key();
    if (kind == "$blob")
      return "holds a $blob that is not Base64 (with padding)";
    if (kind == "$text")
      return "holds a $text that is not Base64 (with padding)";
    if (kind == "$integer")
      return "holds an $integer that is not a decimal text of 64 bits";
  }
  return R"(must be null, a number, a text, {"$blob":"BASE64"}, {"$text":"BASE64"}, {"$integer":"5"} or {"$real":"inf"})";
}

std::string_view value_error(const json& source) {
  switch (source.type()) {
  case json::value_t::number_unsigned: return too_wide;
  case json::value_t::object: return tagged_value_error(source);
  case json::value_t::boolean: return "is a boolean, which SQLite does not have; use 1 or 0";
  default: return "is an array; a value must be null, a number, a text or {\"$blob\":\"BASE64\"}";
  }
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
  if (auto content = plain_value(source))
    return std::move(*content);
  return make_error(invalid_field(field, value_error(source)));
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
  if (auto content = value_from_word(text))
    return std::move(*content);
  if (text.starts_with("blob:"))
    return make_error(invalid_field("-p blob:", "is not followed by Base64 (with padding)"));
  return make_error(invalid_field(fmt::format("-p {}", text), "does not fit in 64 bits; use text: or a real"));
}

} // namespace sluice
