#include "runtime/lab/scenario/references.hpp"

#include <charconv>

namespace sluice::scenario {

namespace {

struct reference {
  size_t begin = 0;
  size_t end = 0;
  std::string_view path;
};

std::optional<reference> next_reference(std::string_view text, size_t from) {
  auto begin = text.find("$(", from);
  if (begin == std::string_view::npos)
    return std::nullopt;
  auto end = text.find(')', begin);
  if (end == std::string_view::npos)
    return std::nullopt;
  return reference{begin, end + 1, text.substr(begin + 2, end - begin - 2)};
}

nlohmann::json value_of(const reference& reference, place at, const look_up& known) {
  if (auto found = known(reference.path))
    return std::move(*found);
  throw mistake{at, "$(" + std::string{reference.path} + ") is not known: no answer has such a part by now"};
}

nlohmann::json resolve_text(const node& node, const look_up& known) {
  std::string_view text = node.text;
  std::string result;
  size_t at = 0;
  for (auto found = next_reference(text, 0); found; found = next_reference(text, at)) {
    auto content = value_of(*found, node.at, known);
    if (found->begin == 0 && found->end == text.size())
      return content;
    result += text.substr(at, found->begin - at);
    result += content.is_string() ? content.get<std::string>() : content.dump();
    at = found->end;
  }
  return result += text.substr(at);
}

} // namespace

bool has_reference(const node& node) { return node.is(node_kind::text) && next_reference(node.text, 0).has_value(); }

void for_each_reference(const node& node, const std::function<void(std::string_view, place)>& visit) {
  for (auto found = next_reference(node.text, 0); found; found = next_reference(node.text, found->end))
    visit(found->path, node.at);
  for (const auto& item : node.items)
    for_each_reference(item, visit);
  for (const auto& member : node.members)
    for_each_reference(member.content, visit);
}

nlohmann::json resolve(const node& node, const look_up& known) {
  if (node.is(node_kind::text))
    return resolve_text(node, known);
  if (node.is(node_kind::list)) {
    auto result = nlohmann::json::array();
    for (const auto& item : node.items)
      result.push_back(resolve(item, known));
    return result;
  }
  if (node.is(node_kind::map)) {
    auto result = nlohmann::json::object();
    for (const auto& member : node.members)
      result[member.name] = resolve(member.content, known);
    return result;
  }
  return to_json(node);
}

std::optional<nlohmann::json> part_of(const nlohmann::json& whole, std::string_view path) {
  const auto* at = &whole;
  while (!path.empty()) {
    auto end = std::min(path.find('.'), path.size());
    auto word = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (at->is_object()) {
      auto found = at->find(std::string{word});
      if (found == at->end())
        return std::nullopt;
      at = &*found;
      continue;
    }
    size_t index = 0;
    auto [stop, code] = std::from_chars(word.data(), word.data() + word.size(), index);
    if (!at->is_array() || code != std::errc{} || stop != word.data() + word.size() || index >= at->size())
      return std::nullopt;
    at = &(*at)[index];
  }
  return *at;
}

} // namespace sluice::scenario
