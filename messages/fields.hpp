#pragma once

#include <caf/meta/type_name.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

namespace sluice {

/// How a number is exported to Prometheus; it is not exported if `type` is `none`.
struct metric {
  enum class kind : uint8_t { none, counter, gauge };

  kind type = kind::none;
  const char* name = "";
  const char* help = "";
  /// From the unit of the field to Prometheus's base unit (seconds, bytes).
  double scale = 1;
};

constexpr metric as_counter(const char* name, const char* help, double scale = 1) {
  return {metric::kind::counter, name, help, scale};
}

constexpr metric as_gauge(const char* name, const char* help, double scale = 1) {
  return {metric::kind::gauge, name, help, scale};
}

/// Factors for `metric::scale`, of fields in milliseconds and microseconds.
constexpr double milli = 1e-3;
constexpr double micro = 1e-6;

/// For a field that is a struct: its numbers are exported as `named_field::second_metric`, because the first metrics
/// are those of another object of the same type.
struct with_second_metrics {};

/// A field of `Struct`: its name in JSON, and its metrics.
template <class Struct, class Member> struct named_field {
  constexpr named_field(const char* json_name, Member Struct::*where, metric first = {}, metric second = {})
    : name(json_name), member(where), first_metric(first), second_metric(second) {}

  constexpr named_field(const char* json_name, Member Struct::*where, with_second_metrics)
    : name(json_name), member(where), shows_second(true) {}

  const char* name;
  Member Struct::*member;
  metric first_metric = {};
  metric second_metric = {};
  bool shows_second = false;
};

/// All fields of a struct, in the order in which they are sent between actors.
template <class... Fields> struct field_list {
  const char* type_name;
  std::tuple<Fields...> fields;

  /// Calls `visit(field)` for each field.
  template <class Visitor> constexpr void for_each(Visitor&& visit) const {
    std::apply([&](const auto&... each) { (visit(each), ...); }, fields);
  }
};

template <class... Fields> constexpr field_list<Fields...> list_fields(const char* type_name, Fields... fields) {
  return {type_name, {fields...}};
}

/// The list of a struct, a specialisation that stands right behind the struct:
///
///     template <> inline constexpr auto fields_of<point> =
///       list_fields("point", named_field{"x", &point::x}, named_field{"y", &point::y});
///
/// From it follow the struct's message for CAF (`inspect`), its JSON (`runtime/json/fields_json.hpp`) and its metrics
/// (`runtime/server/metric_families.hpp`).
template <class T> inline constexpr std::nullptr_t fields_of = nullptr;

template <class T>
concept has_fields = !std::same_as<std::remove_cv_t<decltype(fields_of<T>)>, std::nullptr_t>;

template <class Inspector, has_fields T> typename Inspector::result_type inspect(Inspector& f, T& object) {
  return std::apply(
    [&](const auto&... each) { return f(caf::meta::type_name(fields_of<T>.type_name), object.*each.member...); },
    fields_of<T>.fields);
}

} // namespace sluice
