#pragma once

#include "runtime/lab/scenario/source.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::scenario {

enum class field_type : uint8_t {
  text,
  whole,
  boolean,
  /// One of the words of `field::choices`.
  choice,
  texts,
  /// A list of values (by position), or a map (by name).
  parameters,
  /// A map of columns and values.
  columns,
  /// A list of maps with `sql`, `params` and `expect`.
  statements,
  one_step,
  step_list,
};

/// Whether a map with this one member is a value that YAML cannot express: `$blob`, `$text`, `$integer` or `$real`.
bool is_value_tag(std::string_view name) noexcept;

/// A member that a step of some kind may have. The parser, the schema for editors and the documentation are derived
/// from it.
struct field {
  std::string_view name;
  field_type type = field_type::text;
  std::string_view about;
  bool required = false;
  /// The range of a whole number, inclusive.
  int64_t min = 0;
  int64_t max = INT64_MAX;
  std::vector<std::string_view> choices = {};
};

/// For people: "a whole number from 1 to 10".
std::string requirement_of(const field& field);

/// Throws `mistake` when `node` is not a valid value of `field`. References (`$(...)`) are checked when they are
/// replaced by values, steps when they are parsed.
void check_field(const node& node, const field& field);

/// The names of the fields, for advice.
std::vector<std::string_view> names_of(std::span<const field> fields);

/// Throws `mistake` naming the nearest of `known` unless each member of `node` is one of them. @param whose for people:
/// "write"
void check_members(const node& node, std::span<const std::string_view> known, std::string_view whose);

/// The member, which must exist and have this kind.
const node& require(const node& node, std::string_view name, node_kind kind, std::string_view whose);

} // namespace sluice::scenario
