#include "runtime/server/rpc/json_fields.hpp"

#include "runtime/json/json_text.hpp"

#include <fmt/format.h>

namespace sluice::rpc {

using nlohmann::json;

caf::error invalid(std::string_view field, std::string_view error) { return make_error(invalid_field(field, error)); }

caf::error unknown_member(std::string_view field) {
  return make_error(errc::invalid_request, fmt::format("unknown member \"{}\"", field.substr(0, 100)));
}

caf::error unreadable_answer(const caf::error& error) {
  return make_error(errc::protocol_mismatch, "the broker's answer cannot be read: " + describe(error).message,
                    {.outcome = outcome::unknown});
}

caf::error integer_range_error(std::string_view field, std::string_view min, std::string_view max) {
  return invalid(field, fmt::format("must be a whole number from {} to {}", min, max));
}

caf::error take(const json& content, std::string_view field, std::string& to) {
  auto* text = content.get_ptr<const std::string*>();
  if (!text)
    return invalid(field, "must be a text");
  to = *text;
  return caf::none;
}

caf::error take(const json& content, std::string_view field, bool& to) {
  auto* truth = content.get_ptr<const bool*>();
  if (!truth)
    return invalid(field, "must be true or false");
  to = *truth;
  return caf::none;
}

caf::error take(const json& content, std::string_view field, std::vector<std::string>& to) {
  if (!content.is_array())
    return invalid(field, "must be an array of texts");
  to.resize(content.size());
  for (size_t i = 0; i < to.size(); ++i)
    if (auto text = text_from_json(content[i]))
      to[i] = std::move(*text);
    else
      return invalid(fmt::format("{}[{}]", field, i), "must be a text");
  return caf::none;
}

caf::error take(const json& content, std::string_view field, integer_form& to) {
  if (content == "number")
    to = integer_form::number;
  else if (content == "text")
    to = integer_form::text;
  else if (content == "tagged")
    to = integer_form::tagged;
  else
    return invalid(field, R"(must be "number", "text" or "tagged")");
  return caf::none;
}

caf::error check_object(const json& object, std::string_view field, std::initializer_list<std::string_view> required) {
  if (!object.is_object() && !object.is_null())
    return invalid(field, "must be an object");
  for (auto name : required)
    if (object.is_null() || object.find(name) == object.end())
      return invalid(name, "is missing");
  return caf::none;
}

} // namespace sluice::rpc
