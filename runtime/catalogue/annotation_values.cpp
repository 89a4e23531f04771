#include "runtime/catalogue/annotation_values.hpp"

#include "actors/base/nearest_name.hpp"
#include "runtime/catalogue/annotation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace sluice {

namespace {

constexpr std::chrono::milliseconds longest_cache = std::chrono::hours{24};

struct duration_unit {
  std::string_view name;
  int64_t milliseconds;
};

constexpr std::array duration_units{
  duration_unit{"ms", 1},
  duration_unit{"s", 1'000},
  duration_unit{"min", 60'000},
  duration_unit{"h", 3'600'000},
};

template <class Number> std::optional<Number> whole_text(std::string_view text) {
  Number result{};
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (failed != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return result;
}

// Null for a bound that is left out; nothing for what is no bound of this type.
std::optional<value> bound_of(parameter_type type, std::string_view text) {
  if (text.empty())
    return value{};
  if (type == parameter_type::real) {
    auto number = whole_text<double>(text);
    return number && std::isfinite(*number) ? std::optional<value>{*number} : std::nullopt;
  }
  auto number = whole_text<int64_t>(text);
  if (!number || (type != parameter_type::integer && *number < 0))
    return std::nullopt;
  return value{*number};
}

std::string_view noun_of_bounds(parameter_type type) {
  switch (type) {
  case parameter_type::integer: return "an integer";
  case parameter_type::real: return "a number";
  default: return "a length, an integer that is not negative";
  }
}

bool is_reversed(const value& lowest, const value& highest) {
  if (lowest.real() && highest.real())
    return *lowest.real() > *highest.real();
  return lowest.integer() && highest.integer() && *lowest.integer() > *highest.integer();
}

} // namespace

std::string_view take_word(std::string_view& text, std::string_view ends) {
  auto end = std::find_if(text.begin(), text.end(),
                          [&](char c) { return c == ' ' || c == '\t' || ends.find(c) != std::string_view::npos; });
  auto result = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(result.size());
  return result;
}

std::optional<size_t> place_among(std::string_view word, std::span<const std::string_view> known) {
  auto found = std::find(known.begin(), known.end(), word);
  return found == known.end() ? std::nullopt : std::optional{static_cast<size_t>(found - known.begin())};
}

std::string unknown_word(std::string_view noun, std::string_view word, std::span<const std::string_view> known) {
  if (auto meant = nearest(word, known); !meant.empty())
    return fmt::format("there is no {} '{}', did you mean {}?", noun, word, meant);
  return fmt::format("there is no {} '{}'; there are {}", noun, word, fmt::join(known, ", "));
}

std::string read_bounds(std::string_view text, operation_parameter& to) {
  auto dots = text.find("..");
  if (!text.starts_with('(') || !text.ends_with(')') || dots == std::string_view::npos)
    return fmt::format("has '{}' behind its type; bounds are written as (1..100), (1..) or (..100)", text);
  if (to.type == parameter_type::any)
    return "is of type any, which has no bounds; give it another type or remove them";
  auto from = trimmed(text.substr(1, dots - 1));
  auto until = trimmed(text.substr(dots + 2, text.size() - dots - 3));
  auto lowest = bound_of(to.type, from);
  auto highest = bound_of(to.type, until);
  if (!lowest || !highest)
    return fmt::format("has the bound '{}'; a bound of {} must be {}", lowest ? until : from, to_string(to.type),
                       noun_of_bounds(to.type));
  if (lowest->is_null() && highest->is_null())
    return "has bounds without a number; write (1..100), (1..) or (..100)";
  if (is_reversed(*lowest, *highest))
    return fmt::format("has reversed bounds; write ({}..{})", until, from);
  to.lowest = std::move(*lowest);
  to.highest = std::move(*highest);
  return {};
}

std::string read_duration(std::string_view text, std::optional<std::chrono::milliseconds>& to) {
  auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  auto number = whole_text<int64_t>(text.substr(0, digits));
  auto unit = std::find_if(duration_units.begin(), duration_units.end(),
                           [&](const duration_unit& each) { return each.name == text.substr(digits); });
  if (!number || unit == duration_units.end())
    return fmt::format("'{}' is no duration; write it as 250ms, 60s, 5min or 1h", text);
  if (*number < 1 || *number > longest_cache.count() / unit->milliseconds)
    return fmt::format("an answer cannot be cached for {}; write 1ms to 24h", text);
  to = std::chrono::milliseconds{*number * unit->milliseconds};
  return {};
}

std::string read_count(std::string_view text, std::optional<int64_t>& to) {
  auto number = whole_text<int64_t>(text);
  if (!number || *number < 0)
    return fmt::format("'{}' is no number of rows; write it as -- expect 1", text);
  to = *number;
  return {};
}

} // namespace sluice
