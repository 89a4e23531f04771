#pragma once

#include "runtime/lab/scenario/references.hpp"
#include "runtime/lab/scenario/source.hpp"

#include <span>
#include <string>
#include <vector>

namespace sluice::scenario {

/// An expectation at a position of the file, and the actual value.
struct complaint {
  place at;
  std::string text;
};

/// An expectation that is more than a value: `{$min: 5}`.
struct matcher {
  std::string_view name;
  std::string_view takes;
  std::string_view about;
};

/// All of them.
std::span<const matcher> matchers();

/// Throws `mistake` when `expected` has a matcher that does not exist, or one with an invalid argument.
void check_expectation(const node& expected);

/// Adds what in `got` is not as expected. A map expects its members and says nothing of others; a list expects as many
/// items in the same order; anything else expects itself, of the same type. @param path for people: `rows[0]`
void match(const node& expected, const nlohmann::json& got, const look_up& known, const std::string& path,
           std::vector<complaint>& to);

} // namespace sluice::scenario
