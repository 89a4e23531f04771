#include "runtime/json/plain_values.hpp"

#include "runtime/json/base64.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace sluice {

namespace {

using nlohmann::json;

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t result = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (failed != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return result;
}

std::optional<value> tagged_value(const json& object) {
  if (object.size() != 1 || !object.begin()->is_string())
    return std::nullopt;
  const auto& kind = object.begin().key();
  const auto& content = object.begin()->get_ref<const std::string&>();
  if (kind == "$blob") {
    auto bytes = from_base64(content);
    return bytes ? std::optional<value>{blob{std::move(*bytes)}} : std::nullopt;
  }
  if (kind == "$text") {
    auto bytes = from_base64(content);
    return bytes ? std::optional<value>{std::move(*bytes)} : std::nullopt;
  }
  if (kind == "$integer") {
    auto number = whole_number(content);
    return number ? std::optional<value>{*number} : std::nullopt;
  }
  constexpr auto infinite = std::numeric_limits<double>::infinity();
  if (kind == "$real" && (content == "inf" || content == "-inf"))
    return value{content == "inf" ? infinite : -infinite};
  if (kind == "$real" && content == "nan")
    return value{std::numeric_limits<double>::quiet_NaN()};
  return std::nullopt;
}

std::string_view skip_digits(std::string_view text) {
  auto end = text.find_first_not_of("0123456789");
  return end == std::string_view::npos ? std::string_view{} : text.substr(end);
}

bool starts_with_digit(std::string_view text) { return !text.empty() && text[0] >= '0' && text[0] <= '9'; }

enum class numeral : uint8_t { none, integer, real };

// JSON's grammar of numbers, except that a real needs a point: anything that would not read back as it was typed, such
// as a postal code or a hash, stays text.
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

template <class Number> std::optional<value> parse_number(std::string_view text) {
  Number result{};
  if (std::from_chars(text.data(), text.data() + text.size(), result).ec != std::errc{})
    return std::nullopt;
  return value{result};
}

} // namespace

std::optional<value> plain_value(const json& source) {
  switch (source.type()) {
  case json::value_t::null: return value{};
  case json::value_t::number_integer: return value{source.get<int64_t>()};
  case json::value_t::number_unsigned:
    if (source.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return std::nullopt;
    return value{source.get<int64_t>()};
  case json::value_t::number_float: return value{source.get<double>()};
  case json::value_t::string: return value{source.get<std::string>()};
  case json::value_t::object: return tagged_value(source);
  default: return std::nullopt;
  }
}

std::optional<value> value_from_word(std::string_view text) {
  if (text == "null")
    return value{};
  if (text.starts_with("text:@"))
    return std::nullopt;
  if (text.starts_with("text:"))
    return value{text.substr(5)};
  if (text.starts_with("blob:")) {
    auto bytes = from_base64(text.substr(5));
    return bytes ? std::optional<value>{blob{std::move(*bytes)}} : std::nullopt;
  }
  switch (classify_number(text)) {
  case numeral::integer: return parse_number<int64_t>(text);
  case numeral::real: return parse_number<double>(text);
  case numeral::none: break;
  }
  return value{text};
}

} // namespace sluice
