#include "runtime/server/rpc/failures.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/methods.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice::rpc {

namespace {

using nlohmann::json;

constexpr std::string_view unknown_member_prefix = "unknown member \"";

outcome outcome_of(std::string_view name) {
  for (auto known : {outcome::not_committed, outcome::committed})
    if (name == to_string(known))
      return known;
  return outcome::unknown;
}

// A member of an answer, whose form is not known; the default when it is missing or of another type.
template <class T> T member_or(const json& object, const char* name, T otherwise) {
  auto at = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || at == object.end())
    return otherwise;
  if (auto* found = at->template get_ptr<const T*>())
    return *found;
  return otherwise;
}

uint32_t count_or_zero(const json& content, const char* name) {
  return static_cast<uint32_t>(std::min<uint64_t>(member_or<uint64_t>(content, name, 0), UINT32_MAX));
}

} // namespace

std::string named_field(std::string_view message) {
  if (message.starts_with(unknown_member_prefix)) {
    message.remove_prefix(unknown_member_prefix.size());
    return std::string{message.substr(0, message.rfind('"'))};
  }
  auto root = message.substr(0, message.find_first_of(" .["));
  // The errors of the codec, and those of the broker's own checks, begin with the name of a parameter.
  if (!is_parameter(root))
    return {};
  return std::string{message.substr(0, message.find(' '))};
}

error error_of(const failure& failed) {
  error result{request_failed, failed.message, as_json(failed)};
  auto field = failed.code == errc::invalid_request ? named_field(failed.message) : std::string{};
  if (!field.empty()) {
    result.code = invalid_params;
    result.data["field"] = std::move(field);
  }
  return result;
}

error own_error(error_code code, std::string message) {
  auto is_internal = code == internal_error;
  auto result = make_failure(is_internal ? errc::internal : errc::invalid_request, std::move(message),
                             {.outcome = is_internal ? outcome::unknown : outcome::not_committed});
  return {code, result.message, as_json(result)};
}

error unknown_method(std::string_view method) {
  return own_error(method_not_found, fmt::format("there is no method \"{}\"", method.substr(0, 100)));
}

failure failure_from_json(const json& error) {
  auto code = member_or<int64_t>(error, "code", 0);
  auto refused = code == parse_error || code == invalid_request || code == method_not_found || code == invalid_params;
  auto result = make_failure(refused ? errc::invalid_request : errc::internal,
                             member_or<std::string>(error, "message", "the broker gave an error without a text"),
                             {.outcome = refused ? outcome::not_committed : outcome::unknown});
  auto data = error.is_object() ? error.value("data", json{}) : json{};
  auto name = member_or<std::string>(data, "code", "");
  if (name.empty())
    return result;
  result.code = errc_of(name).value_or(errc::internal);
  result.outcome = outcome_of(member_or<std::string>(data, "outcome", ""));
  result.retry_after_ms = count_or_zero(data, "retry_after_ms");
  result.attempts = count_or_zero(data, "attempts");
  result.waited_ms = count_or_zero(data, "waited_ms");
  result.request_id = member_or<std::string>(data, "request_id", "");
  return result;
}

} // namespace sluice::rpc
