#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::test {

/// One record of a file in SQLite's sqllogictest format (https://www.sqlite.org/sqllogictest/doc/trunk/about.wiki).
struct script_record {
  enum class kind { statement_ok, statement_error, query, hash_threshold, halt };
  enum class order { as_is, by_row, by_value };

  kind type = kind::halt;
  /// The number of its first line, from 1.
  size_t line = 0;
  std::string sql;
  /// The types of a query's columns: a letter for each, I, T or R.
  std::string types;
  order sort = order::as_is;
  /// Queries with the same label have the same result; empty for none.
  std::string label;
  /// The expected result of a query: values, or a hash, and the number of the line after `----`.
  std::vector<std::string> expected;
  size_t expected_line = 0;
  /// The value of a hash-threshold: results with more values are compared by their hash; 0 means never.
  size_t threshold = 0;
  /// Whether `skipif` and `onlyif` leave it out.
  bool skipped = false;
};

/// An error in a script, with its place: `FILE:LINE: ...`.
class script_error : public std::runtime_error {
public:
  using runtime_error::runtime_error;
};

/// All records of a script. Errors call the file `name`; `engines` are the lower-case names by which `skipif` and
/// `onlyif` mean this engine. Throws `script_error`.
std::vector<script_record> parse_script(const std::string& name, const std::string& text,
                                        const std::vector<std::string>& engines);

} // namespace sluice::test
