#include "runtime/lab/scenario/source.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

namespace sluice::scenario {

namespace {

constexpr size_t max_bytes = size_t{1} << 20;
constexpr size_t max_depth = 64;

place place_of(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

// A number in JSON's grammar, so that 007, +5 and 0x10 are texts.
bool is_number(std::string_view text, bool& whole) {
  size_t at = text.starts_with('-') ? 1 : 0;
  auto digits = [&] {
    auto begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9')
      ++at;
    return at - begin;
  };
  auto first = at;
  auto count = digits();
  if (count == 0 || (count > 1 && text[first] == '0'))
    return false;
  whole = true;
  if (at < text.size() && text[at] == '.') {
    whole = false;
    ++at;
    if (digits() == 0)
      return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    whole = false;
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-'))
      ++at;
    if (digits() == 0)
      return false;
  }
  return at == text.size();
}

void read_number(const std::string& text, bool whole, node& to) {
  const auto* end = text.data() + text.size();
  if (whole) {
    to.kind = node_kind::integer;
    if (std::from_chars(text.data(), end, to.integer).ec != std::errc{})
      throw mistake{to.at, fmt::format("{} does not fit in 64 bits", text)};
    return;
  }
  to.kind = node_kind::real;
  if (std::from_chars(text.data(), end, to.real).ec != std::errc{})
    throw mistake{to.at, fmt::format("{} is beyond what a real can be", text)};
}

node read_plain(const std::string& text, place at) {
  node result;
  result.at = at;
  auto whole = false;
  if (text.empty() || text == "~" || text == "null") {
    result.kind = node_kind::null;
  } else if (text == "true" || text == "false") {
    result.kind = node_kind::boolean;
    result.boolean = text == "true";
  } else if (is_number(text, whole)) {
    read_number(text, whole, result);
  } else {
    result.kind = node_kind::text;
    result.text = text;
  }
  return result;
}

// Builds the tree from the parser's events, which unlike its own tree show duplicate members and aliases.
class builder final : public YAML::EventHandler {
public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(read_plain("", place_of(mark))); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw mistake{place_of(mark), "an alias (*name) cannot be used here; write it out, or use repeat"};
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& text) override {
    auto at = place_of(mark);
    if (tag == "?")
      return add(read_plain(text, at));
    refuse_tag(tag, at);
    node result;
    result.kind = node_kind::text;
    result.at = at;
    result.text = text;
    add(std::move(result));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(node_kind::list, tag, place_of(mark));
  }

  void OnSequenceEnd() override { shut(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(node_kind::map, tag, place_of(mark));
  }

  void OnMapEnd() override { shut(); }

  node take() {
    if (!whole_)
      throw mistake{{1, 1}, "the file is empty; it must be a map with name and steps"};
    return std::move(*whole_);
  }

private:
  struct level {
    node content;
    std::optional<node> key;
  };

  static void refuse_tag(const std::string& tag, place at) {
    if (tag != "?" && tag != "!" && !tag.empty())
      throw mistake{at, fmt::format("the tag {} is not known here; there are no tags", tag)};
  }

  void open(node_kind kind, const std::string& tag, place at) {
    refuse_tag(tag, at);
    if (levels_.size() >= max_depth)
      throw mistake{at, fmt::format("this is nested deeper than {} levels", max_depth)};
    level added;
    added.content.kind = kind;
    added.content.at = at;
    levels_.push_back(std::move(added));
  }

  void shut() {
    auto done = std::move(levels_.back().content);
    levels_.pop_back();
    add(std::move(done));
  }

  void add(node node) {
    if (levels_.empty()) {
      whole_ = std::move(node);
      return;
    }
    auto& to = levels_.back();
    if (to.content.is(node_kind::list)) {
      to.content.items.push_back(std::move(node));
    } else if (!to.key) {
      add_key(to, std::move(node));
    } else {
      to.content.members.push_back({std::move(to.key->text), to.key->at, std::move(node)});
      to.key.reset();
    }
  }

  static void add_key(level& to, node key) {
    // Names of columns may look like other types.
    if (key.is(node_kind::integer) || key.is(node_kind::real) || key.is(node_kind::boolean))
      key.text = to_json(key).dump();
    else if (!key.is(node_kind::text))
      throw mistake{key.at, fmt::format("the name of a member must be a text, and is {}", to_string(key.kind))};
    if (const auto* first = to.content.find(key.text))
      throw mistake{key.at, fmt::format("{} is given twice; the first is in line {}", key.text, first->at.line)};
    to.key = std::move(key);
  }

  std::vector<level> levels_;
  std::optional<node> whole_;
};

} // namespace

std::string_view to_string(node_kind kind) {
  constexpr std::array<std::string_view, 7> words{"nothing", "a boolean", "a whole number", "a real",
                                                  "a text",  "a list",    "a map"};
  return words[static_cast<size_t>(kind)];
}

const node* node::find(std::string_view name) const noexcept {
  auto found = std::find_if(members.begin(), members.end(), [&](const member& x) { return x.name == name; });
  return found == members.end() ? nullptr : &found->content;
}

nlohmann::json to_json(const node& node) {
  switch (node.kind) {
  case node_kind::null: return nullptr;
  case node_kind::boolean: return node.boolean;
  case node_kind::integer: return node.integer;
  case node_kind::real: return node.real;
  case node_kind::text: return node.text;
  case node_kind::list: {
    auto result = nlohmann::json::array();
    for (const auto& item : node.items)
      result.push_back(to_json(item));
    return result;
  }
  case node_kind::map: {
    auto result = nlohmann::json::object();
    for (const auto& member : node.members)
      result[member.name] = to_json(member.content);
    return result;
  }
  }
  return nullptr;
}

namespace {

// The most frequent cause of an error of the parser.
std::string_view likely_cause(std::string_view message) {
  if (message.find("flow not found") != message.npos)
    return "; between { } and [ ], a text with a comma, a colon or brackets needs quotes";
  if (message.find("not found") != message.npos)
    return "; is this line indented as its neighbours are?";
  return {};
}

} // namespace

node read_yaml(const std::string& text) {
  if (text.size() > max_bytes)
    throw mistake{{1, 1}, fmt::format("the file has {} bytes; a scenario may have {}", text.size(), max_bytes)};
  try {
    std::istringstream in{text};
    YAML::Parser parser{in};
    builder to;
    if (!parser.HandleNextDocument(to))
      return to.take();
    auto result = to.take();
    builder more;
    if (parser.HandleNextDocument(more))
      throw mistake{more.take().at, "a file holds one scenario; this is a second document"};
    return result;
  } catch (const YAML::Exception& error) {
    throw mistake{place_of(error.mark), fmt::format("this is no YAML: {}{}", error.msg, likely_cause(error.msg))};
  }
}

} // namespace sluice::scenario
