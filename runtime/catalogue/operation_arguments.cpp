#include "runtime/catalogue/operation_arguments.hpp"

#include "actors/base/nearest_name.hpp"
#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"
#include "runtime/json/json_values.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <optional>
#include <unordered_map>

namespace sluice {

namespace {

using nlohmann::json;

constexpr std::string_view batch_member = "sets";

// A value that may be bound, or why there is none, which continues a sentence about the argument.
struct conversion {
  value content;
  std::string mistake;
};

conversion refused(std::string why) { return {{}, std::move(why)}; }

std::string_view with_article(value_kind kind) {
  switch (kind) {
  case value_kind::null: return "null";
  case value_kind::integer: return "an integer";
  case value_kind::real: return "a real";
  case value_kind::text: return "a text";
  case value_kind::blob: return "a blob";
  }
  return "a value";
}

std::string_view with_article(parameter_type type) {
  switch (type) {
  case parameter_type::integer: return "an integer";
  case parameter_type::real: return "a number";
  case parameter_type::text: return "a text";
  case parameter_type::blob: return "a blob";
  case parameter_type::json: return "a text that is a JSON document";
  case parameter_type::any: return "a value";
  }
  return "a value";
}

conversion of_other_type(const operation_parameter& wanted, const value& given) {
  return refused(fmt::format("must be {}, and is {}", with_article(wanted.type), with_article(given.kind())));
}

std::string as_text(const value& bound) {
  return bound.real() ? fmt::format("{}", *bound.real()) : fmt::format("{}", *bound.integer());
}

// `be 1 to 100`, `be at least 1`, `be at most 100`
std::string allowed_range(const operation_parameter& wanted) {
  if (wanted.highest.is_null())
    return "be at least " + as_text(wanted.lowest);
  if (wanted.lowest.is_null())
    return "be at most " + as_text(wanted.highest);
  return fmt::format("be {} to {}", as_text(wanted.lowest), as_text(wanted.highest));
}

std::string_view unit_of(parameter_type type) { return type == parameter_type::text ? "characters" : "bytes"; }

conversion within_length(const operation_parameter& wanted, const value& given, size_t length) {
  auto size = static_cast<int64_t>(length);
  if ((wanted.lowest.integer() && size < *wanted.lowest.integer())
      || (wanted.highest.integer() && size > *wanted.highest.integer()))
    return refused(fmt::format("has {} {}; the length must {}", size, unit_of(wanted.type), allowed_range(wanted)));
  return {given, {}};
}

conversion as_integer(const operation_parameter& wanted, const value& given) {
  auto number = given.integer() ? std::optional{*given.integer()} : std::nullopt;
  if (const auto* real = given.real()) {
    // 2^63, the first real beyond 64 bits.
    constexpr auto limit = 9223372036854775808.0;
    if (!(*real >= -limit && *real < limit) || *real != std::trunc(*real))
      return refused(fmt::format("must be an integer, and is {}", *real));
    number = static_cast<int64_t>(*real);
  }
  if (!number)
    return of_other_type(wanted, given);
  if ((wanted.lowest.integer() && *number < *wanted.lowest.integer())
      || (wanted.highest.integer() && *number > *wanted.highest.integer()))
    return refused(fmt::format("is {}; it must {}", *number, allowed_range(wanted)));
  return {*number, {}};
}

conversion as_real(const operation_parameter& wanted, const value& given) {
  if (!given.integer() && !given.real())
    return of_other_type(wanted, given);
  auto number = given.real() ? *given.real() : static_cast<double>(*given.integer());
  if ((wanted.lowest.real() && number < *wanted.lowest.real())
      || (wanted.highest.real() && number > *wanted.highest.real()))
    return refused(fmt::format("is {}; it must {}", number, allowed_range(wanted)));
  return {number, {}};
}

size_t characters_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

conversion as_text_or_json(const operation_parameter& wanted, const value& given) {
  const auto* text = given.text();
  if (!text)
    return of_other_type(wanted, given);
  if (!is_utf8(*text))
    return refused("is not valid UTF-8");
  if (wanted.type == parameter_type::text)
    return within_length(wanted, given, characters_of(*text));
  return json::accept(*text) ? within_length(wanted, given, text->size()) : refused("is not a JSON document");
}

conversion convert(const operation_parameter& wanted, const value& given) {
  if (given.is_null())
    return wanted.nullable ? conversion{} : refused("must not be null");
  if (given.real() && std::isnan(*given.real()))
    return refused("is not a number (NaN), which SQLite cannot store");
  switch (wanted.type) {
  case parameter_type::integer: return as_integer(wanted, given);
  case parameter_type::real: return as_real(wanted, given);
  case parameter_type::text:
  case parameter_type::json: return as_text_or_json(wanted, given);
  case parameter_type::blob:
    return given.blob_bytes() ? within_length(wanted, given, given.blob_bytes()->size()) : of_other_type(wanted, given);
  case parameter_type::any: return {given, {}};
  }
  return {given, {}};
}

caf::error refused_argument(std::string_view field, std::string_view name, std::string_view why) {
  return make_error(invalid_field(fmt::format("{}.{}", field, escape_invalid_utf8(name)), why));
}

caf::error unknown_argument(const operation& of, std::string_view field, std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& each : of.parameters)
    known.push_back(each.name);
  auto why = fmt::format("is no parameter of {}", of.name);
  if (auto meant = nearest(name, known); !meant.empty())
    why += fmt::format(", did you mean {}?", meant);
  else if (known.empty())
    why += ", which has none";
  else
    why += fmt::format("; there are {}", fmt::join(known, ", "));
  return refused_argument(field, utf8_prefix(name, max_operation_name_bytes), why);
}

// An array or an object as the text of the document that it is; everything else as a value.
caf::expected<value> argument_from_json(const operation_parameter* wanted, const json& source,
                                        const std::string& field) {
  auto result = value_from_json(source, field);
  if (!result && wanted && wanted->type == parameter_type::json && source.is_structured()) {
    // Text that is not UTF-8 makes it throw otherwise; a JSON document has none.
    auto document = source.dump(-1, ' ', false, json::error_handler_t::replace);
    return value{std::move(document)};
  }
  return result;
}

} // namespace

caf::expected<parameters> check_arguments(const operation& of, const std::vector<named_value>& given,
                                          std::string_view field) {
  std::unordered_map<std::string_view, const value*> by_name;
  for (const auto& [name, content] : given) {
    if (!of.find_parameter(name))
      return unknown_argument(of, field, name);
    if (!by_name.emplace(name, &content).second)
      return refused_argument(field, name, "is given twice");
  }
  parameters result;
  result.named.reserve(of.parameters.size());
  for (const auto& wanted : of.parameters) {
    auto found = by_name.find(wanted.name);
    auto is_there = found != by_name.end() && !found->second->is_null();
    if (!is_there && !wanted.nullable)
      return refused_argument(
        field, wanted.name,
        fmt::format("is {}; it must be {}", found == by_name.end() ? "missing" : "null", with_article(wanted.type)));
    auto converted = is_there ? convert(wanted, *found->second) : conversion{};
    if (!converted.mistake.empty())
      return refused_argument(field, wanted.name, converted.mistake);
    result.named.push_back({wanted.name, std::move(converted.content)});
  }
  return result;
}

caf::expected<parameters> arguments_from_json(const operation& of, const json& source, std::string_view field) {
  if (!source.is_null() && !source.is_object())
    return make_error(invalid_field(field, "must be an object, because the arguments of an operation are named"));
  std::vector<named_value> given;
  for (auto each = source.begin(); source.is_object() && each != source.end(); ++each) {
    auto content = argument_from_json(of.find_parameter(each.key()), *each, fmt::format("{}.{}", field, each.key()));
    if (!content)
      return std::move(content.error());
    given.push_back({each.key(), std::move(*content)});
  }
  return check_arguments(of, given, field);
}

caf::expected<std::vector<parameters>> batch_arguments_from_json(const operation& of, const json& source,
                                                                 std::string_view field) {
  auto is_wrapped = source.is_object() && source.size() == 1 && source.contains(batch_member);
  const auto& sets = is_wrapped ? source[std::string{batch_member}] : source;
  if (!sets.is_array())
    return make_error(invalid_field(field, "must be an array of objects, one for each set of arguments"));
  std::vector<parameters> result;
  for (size_t i = 0; i < sets.size(); ++i) {
    auto checked = arguments_from_json(of, sets[i], fmt::format("{}[{}]", field, i));
    if (!checked)
      return std::move(checked.error());
    result.push_back(std::move(*checked));
  }
  return result;
}

std::vector<statement> bound_statements(const operation& of, const parameters& checked) {
  std::unordered_map<std::string_view, const value*> by_name;
  for (const auto& [name, content] : checked.named)
    by_name.emplace(name, &content);
  std::vector<statement> result;
  for (const auto& each : of.statements) {
    statement bound{each.sql};
    bound.terms = each.terms;
    for (const auto& name : each.parameters) {
      auto found = by_name.find(name);
      assert(found != by_name.end());
      bound.params.named.push_back({name, *found->second});
    }
    result.push_back(std::move(bound));
  }
  return result;
}

} // namespace sluice
