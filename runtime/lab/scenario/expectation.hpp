#pragma once

#include "runtime/lab/scenario/references.hpp"
#include "runtime/lab/scenario/source.hpp"

#include <span>
#include <string>
#include <vector>

namespace sluice::scenario {

/// A failed expectation: its position in the file, and the actual value.
struct complaint {
  place at;
  std::string text;
};

/// An expectation other than a value: `{$min: 5}`.
struct matcher {
  std::string_view name;
  std::string_view takes;
  std::string_view about;
};

/// All of them.
std::span<const matcher> matchers();

/// Throws `mistake` when `expected` has a matcher that does not exist, or one with an invalid argument.
void check_expectation(const node& expected);

/// Adds the differences of `got` from the expectation. A map checks its members and ignores others; a list expects the
/// same number of items in the same order; anything else expects an equal value of the same type. @param path for
/// people: `rows[0]`
void match(const node& expected, const nlohmann::json& got, const look_up& known, const std::string& path,
           std::vector<complaint>& to);

} // namespace sluice::scenario
