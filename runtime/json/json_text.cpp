#include "runtime/json/json_text.hpp"

#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice {

namespace {

using nlohmann::json;

constexpr std::string_view tag = "$text";

// A copy in which all text is valid UTF-8.
json escaped(const json& document) {
  if (const auto* text = document.get_ptr<const std::string*>())
    return escape_invalid_utf8(*text);
  if (document.is_array()) {
    auto result = json::array();
    for (const auto& each : document)
      result.push_back(escaped(each));
    return result;
  }
  if (!document.is_object())
    return document;
  auto result = json::object();
  for (const auto& [name, content] : document.items())
    result[escape_invalid_utf8(name)] = escaped(content);
  return result;
}

std::string dump_indented(const json& document, int indent) {
  try {
    return document.dump(indent);
  } catch (const json::type_error&) {
    return escaped(document).dump(indent);
  }
}

// The path of the first text that is not UTF-8, as `statements[0].sql`; `path` is that of `document`.
std::optional<std::string> find_invalid(const json& document, const std::string& path) {
  if (const auto* text = document.get_ptr<const std::string*>())
    return is_utf8(*text) ? std::nullopt : std::optional{path};
  if (document.is_array())
    for (size_t i = 0; i < document.size(); ++i)
      if (auto found = find_invalid(document[i], fmt::format("{}[{}]", path, i)))
        return found;
  if (document.is_object())
    for (const auto& [name, content] : document.items()) {
      auto here = path.empty() ? name : path + "." + name;
      if (!is_utf8(name))
        return escape_invalid_utf8(here);
      if (auto found = find_invalid(content, here))
        return found;
    }
  return std::nullopt;
}

} // namespace

std::string dump(const json& document) { return dump_indented(document, -1); }

std::string dump_pretty(const json& document) { return dump_indented(document, 2); }

caf::error utf8_error(const json& document) {
  auto where = find_invalid(document, {});
  if (!where)
    return {};
  return make_error(errc::invalid_request, fmt::format("{} is not valid UTF-8; send other bytes as a parameter",
                                                       where->empty() ? "the request" : *where));
}

caf::expected<std::string> dump_exactly(const json& document) {
  try {
    return document.dump();
  } catch (const json::type_error&) {
    return utf8_error(document);
  }
}

json text_as_json(std::string_view text) {
  if (is_utf8(text))
    return text;
  return {{tag, to_base64(text)}};
}

json texts_as_json(const std::vector<std::string>& texts) {
  auto result = json::array();
  for (const auto& text : texts)
    result.push_back(text_as_json(text));
  return result;
}

std::optional<std::string> text_from_json(const json& source) {
  if (const auto* text = source.get_ptr<const std::string*>())
    return *text;
  if (!source.is_object() || source.size() != 1 || source.begin().key() != tag || !source.begin()->is_string())
    return std::nullopt;
  return from_base64(source.begin()->get_ref<const std::string&>());
}

} // namespace sluice
