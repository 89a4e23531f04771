#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::scenario {

/// A position in a file; both count from 1, and 0 means unknown.
struct place {
  int line = 0;
  int column = 0;
};

/// An error in a scenario file, with its position. Thrown while a file is read; `read_scenario` catches it.
class mistake : public std::runtime_error {
public:
  mistake(place where, const std::string& text) : std::runtime_error(text), where_(where) {}

  place where() const noexcept { return where_; }

private:
  place where_;
};

enum class node_kind : uint8_t { null, boolean, integer, real, text, list, map };

/// With its article, for people: "a list".
std::string_view to_string(node_kind kind);

/// A part of a scenario file with its position. Plain data.
struct node {
  struct member;

  node_kind kind = node_kind::null;
  place at;
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<node> items;
  std::vector<member> members;

  bool is(node_kind wanted) const noexcept { return kind == wanted; }

  /// The member of that name; null if there is none, or if this is no map.
  const node* find(std::string_view name) const noexcept;
};

struct node::member {
  std::string name;
  place at;
  node content;
};

/// The JSON of the node, without positions.
nlohmann::json to_json(const node& node);

/// Reads one YAML document. Plain scalars are read as in JSON: `null`, `~` and an empty value are null, `true` and
/// `false` booleans, `5` an integer, `1.5` and `1e3` reals; everything else is text, and so is all that is quoted.
/// Throws `mistake` for invalid YAML, an empty file, several documents, duplicate members, integers beyond 64 bits,
/// aliases, tags, nesting beyond 64 levels and more than 1 MiB.
node read_yaml(const std::string& text);

} // namespace sluice::scenario
