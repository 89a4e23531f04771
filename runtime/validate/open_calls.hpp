#pragma once

#include "runtime/validate/source_language.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::validate {

/// A place in a source that opens SQLite.
struct open_call {
  /// From 1; the column counts bytes.
  size_t line = 0;
  size_t column = 0;
  /// One of `rule_names`.
  std::string_view rule;
  /// What opens SQLite, as it is named in the source: `sqlite3.connect`.
  std::string text;

  friend bool operator==(const open_call&, const open_call&) = default;
};

/// The places in `source` that open SQLite by a name that the rules know, in their order. Comments do not count, nor do
/// texts, and private databases in memory (`:memory:`). Reads any bytes, in linear time.
std::vector<open_call> find_open_calls(std::string_view source, language of);

/// The names of all rules.
std::span<const std::string_view> rule_names() noexcept;

} // namespace sluice::validate
