#pragma once

#include "messages/error.hpp"
#include "messages/value.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Reads the members of JSON objects; the codec uses it. Each function reports `errc::invalid_request` with a text that
/// names the field in a form that failures.hpp finds.
namespace sluice::rpc {

/// The error `FIELD ERROR`.
caf::error invalid(std::string_view field, std::string_view error);

/// The error for a member that no request has.
caf::error unknown_member(std::string_view field);

/// `protocol_mismatch` for an answer of the broker that the decoder refuses with `error`. The outcome is unknown: the
/// broker may have executed the request.
caf::error unreadable_answer(const caf::error& error);

caf::error take(const nlohmann::json& content, std::string_view field, std::string& to);
caf::error take(const nlohmann::json& content, std::string_view field, bool& to);

/// An array of texts, each a string or, where it is not UTF-8, `{"$text":"BASE64"}`.
caf::error take(const nlohmann::json& content, std::string_view field, std::vector<std::string>& to);

caf::error integer_range_error(std::string_view field, std::string_view min, std::string_view max);

/// A whole number from `min` to `max`.
template <std::integral Int>
requires(!std::same_as<Int, bool>) caf::error
  take(const nlohmann::json& content, std::string_view field, Int& to, Int min = std::numeric_limits<Int>::min(),
       Int max = std::numeric_limits<Int>::max()) {
  auto fits = [&](auto number) { return std::cmp_greater_equal(number, min) && std::cmp_less_equal(number, max); };
  if (auto* big = content.get_ptr<const uint64_t*>(); big && fits(*big))
    to = static_cast<Int>(*big);
  else if (auto* number = content.get_ptr<const int64_t*>(); !big && number && fits(*number))
    to = static_cast<Int>(*number);
  else
    return integer_range_error(field, std::to_string(min), std::to_string(max));
  return caf::none;
}

/// `"number"`, `"text"` or `"tagged"`.
caf::error take(const nlohmann::json& content, std::string_view field, integer_form& to);

/// Fails if `object` is not an object, or if it lacks a member of `required`, whose first missing one it names; null is
/// an object without members.
caf::error check_object(const nlohmann::json& object, std::string_view field,
                        std::initializer_list<std::string_view> required);

/// Passes each member to `take_member`, until it returns an error.
template <class F>
caf::error read_object(const nlohmann::json& object, std::string_view field,
                       std::initializer_list<std::string_view> required, F take_member) {
  if (auto error = check_object(object, field, required))
    return error;
  if (object.is_null())
    return caf::none;
  for (const auto& [name, content] : object.get_ref<const nlohmann::json::object_t&>())
    if (auto error = take_member(name, content); error)
      return error;
  return caf::none;
}

/// The request that was read, or the error.
template <class Request> caf::expected<Request> result_or(caf::error error, Request& request) {
  if (error)
    return error;
  return std::move(request);
}

/// The maximum time in a request, in milliseconds.
constexpr int64_t day_ms = 86'400'000;

} // namespace sluice::rpc
