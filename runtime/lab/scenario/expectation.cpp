#include "runtime/lab/scenario/expectation.hpp"

#include "actors/base/counted.hpp"
#include "runtime/json/json.hpp"
#include "runtime/lab/scenario/fields.hpp"
#include "runtime/lab/scenario/suggestions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace sluice::scenario {

namespace {

using nlohmann::json;

constexpr size_t shown_bytes = 300;

std::string stats(const json& list) {
  auto text = dump(list);
  return text.size() <= shown_bytes ? text : text.substr(0, shown_bytes) + "...";
}

constexpr std::array all_matchers{
  matcher{"$min", "a number", "at least that much"},
  matcher{"$max", "a number", "at most that much"},
  matcher{"$contains", "a text", "a text with that text in it"},
  matcher{"$one_of", "a list", "one of these"},
  matcher{"$not", "anything", "anything but this"},
  matcher{"$has", "a list", "a list in which each of these is found, in any order, among others"},
  matcher{"$any_order", "a list", "a list of exactly these, in any order"},
  matcher{"$size", "a whole number", "a list of that many items"},
  matcher{"$exists", "true or false", "a member that is there, whatever it is; or that is not"},
};

// Values that YAML cannot express begin with the same sign.
bool is_matcher(const node& node) {
  return node.is(node_kind::map) && !node.members.empty() && node.members[0].name.starts_with('$')
         && !is_value_tag(node.members[0].name);
}

bool takes(std::string_view name, const node& node) {
  if (has_reference(node))
    return true;
  if (name == "$min" || name == "$max")
    return node.is(node_kind::integer) || node.is(node_kind::real);
  if (name == "$contains")
    return node.is(node_kind::text);
  if (name == "$size")
    return node.is(node_kind::integer) && node.integer >= 0;
  if (name == "$exists")
    return node.is(node_kind::boolean);
  return name == "$not" || node.is(node_kind::list);
}

bool matches(const node& expected, const json& got, const look_up& known) {
  std::vector<complaint> found;
  match(expected, got, known, {}, found);
  return found.empty();
}

// Whether each of `wanted` can be paired with an item of its own: Kuhn's matching algorithm.
class pairing {
public:
  pairing(const std::vector<node>& wanted, const json& got, const look_up& known) {
    for (const auto& entry : wanted) {
      auto& row = fits_.emplace_back();
      for (const auto& item : got)
        row.push_back(matches(entry, item, known));
    }
    taken_.assign(got.size(), wanted.size());
  }

  // The index of the first one without a pair.
  std::optional<size_t> unpaired() {
    for (size_t i = 0; i < fits_.size(); ++i) {
      std::vector<bool> tried(taken_.size());
      if (!place(i, tried))
        return i;
    }
    return std::nullopt;
  }

private:
  bool place(size_t i, std::vector<bool>& tried) {
    for (size_t j = 0; j < taken_.size(); ++j) {
      if (!fits_[i][j] || tried[j])
        continue;
      tried[j] = true;
      if (taken_[j] == fits_.size() || place(taken_[j], tried)) {
        taken_[j] = i;
        return true;
      }
    }
    return false;
  }

  std::vector<std::vector<bool>> fits_;
  std::vector<size_t> taken_;
};

// The difference of `got` from the expectation; nothing if there is none.
std::optional<std::string> apply(std::string_view name, const node& matcher, const json& got, const look_up& known) {
  auto wanted = resolve(matcher, known);
  if (name == "$min" || name == "$max") {
    if (got.is_number() && (name == "$min" ? got >= wanted : got <= wanted))
      return std::nullopt;
    return fmt::format("{} {}", name == "$min" ? "at least" : "at most", stats(wanted));
  }
  if (name == "$contains") {
    if (got.is_string() && wanted.is_string() && got.get_ref<const std::string&>().find(wanted) != std::string::npos)
      return std::nullopt;
    return fmt::format("a text with {} in it", stats(wanted));
  }
  if (name == "$one_of") {
    auto good = std::any_of(matcher.items.begin(), matcher.items.end(),
                            [&](const node& one) { return matches(one, got, known); });
    return good ? std::nullopt : std::optional{"one of " + stats(wanted)};
  }
  if (name == "$not")
    return matches(matcher, got, known) ? std::optional{"anything but " + stats(wanted)} : std::nullopt;
  if (name == "$size") {
    if (got.is_array() && wanted.is_number() && got.size() == wanted)
      return std::nullopt;
    return fmt::format("a list of {} items", stats(wanted));
  }
  if (!got.is_array())
    return "a list";
  if (name == "$any_order" && got.size() != matcher.items.size())
    return fmt::format("{} items, in any order: {}", matcher.items.size(), stats(wanted));
  if (auto missing = pairing{matcher.items, got, known}.unpaired())
    return "a list with " + stats(resolve(matcher.items[*missing], known));
  return std::nullopt;
}

bool same(const json& a, const json& b) {
  // SQLite distinguishes the values 1 and 1.0.
  return a == b && a.is_number_float() == b.is_number_float();
}

void match_map(const node& expected, const json& got, const look_up& known, const std::string& path,
               std::vector<complaint>& to) {
  if (!got.is_object()) {
    to.push_back({expected.at, fmt::format("expected {} to be a map, got {}", path, stats(got))});
    return;
  }
  std::vector<std::string_view> names;
  for (const auto& [name, content] : got.items())
    names.push_back(name);
  for (const auto& member : expected.members) {
    auto where = path.empty() ? member.name : path + "." + member.name;
    auto found = got.find(member.name);
    const auto* exists = is_matcher(member.content) ? member.content.find("$exists") : nullptr;
    if (exists && exists->boolean == (found != got.end()))
      continue;
    if (exists && found != got.end())
      to.push_back({member.at, fmt::format("expected no {}, got {}", where, stats(*found))});
    else if (found == got.end())
      to.push_back(
        {member.at, fmt::format("expected {}, but there is no such member{}", where, advice(member.name, names))});
    else
      match(member.content, *found, known, where, to);
  }
}

void match_list(const node& expected, const json& got, const look_up& known, const std::string& path,
                std::vector<complaint>& to) {
  if (!got.is_array() || got.size() != expected.items.size()) {
    auto count = expected.items.size();
    to.push_back({expected.at, got.is_array() ? fmt::format("expected {} to have {}, got {}: {}", path,
                                                            counted(count, "item"), got.size(), stats(got))
                                              : fmt::format("expected {} to be a list, got {}", path, stats(got))});
    return;
  }
  for (size_t i = 0; i < expected.items.size(); ++i)
    match(expected.items[i], got[i], known, fmt::format("{}[{}]", path, i), to);
}

} // namespace

std::span<const matcher> matchers() { return all_matchers; }

void check_expectation(const node& expected) {
  if (is_matcher(expected)) {
    std::vector<std::string_view> names;
    for (const auto& known : all_matchers)
      names.push_back(known.name);
    for (const auto& member : expected.members) {
      auto found =
        std::find_if(all_matchers.begin(), all_matchers.end(), [&](const matcher& x) { return x.name == member.name; });
      if (found == all_matchers.end())
        throw mistake{member.at, fmt::format("nothing is expected with {}{}", member.name, advice(member.name, names))};
      if (!takes(member.name, member.content))
        throw mistake{member.content.at, fmt::format("{} takes {}, and is given {}", member.name, found->takes,
                                                     to_string(member.content.kind))};
    }
  }
  for (const auto& item : expected.items)
    check_expectation(item);
  for (const auto& member : expected.members)
    check_expectation(member.content);
}

void match(const node& expected, const json& got, const look_up& known, const std::string& path,
           std::vector<complaint>& to) {
  if (is_matcher(expected)) {
    for (const auto& member : expected.members)
      if (member.name != "$exists")
        if (auto wanted = apply(member.name, member.content, got, known))
          to.push_back({member.at, fmt::format("expected {} to be {}, got {}", path, *wanted, stats(got))});
    return;
  }
  auto is_value_map =
    expected.is(node_kind::map) && expected.members.size() == 1 && expected.members[0].name.starts_with('$');
  if (expected.is(node_kind::map) && !is_value_map)
    return match_map(expected, got, known, path, to);
  if (expected.is(node_kind::list))
    return match_list(expected, got, known, path, to);
  auto wanted = resolve(expected, known);
  if (!same(wanted, got))
    to.push_back({expected.at, fmt::format("expected {}: {}, got {}", path, stats(wanted), stats(got))});
}

} // namespace sluice::scenario
