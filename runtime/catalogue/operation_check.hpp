#pragma once

#include "runtime/catalogue/annotation.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// What is wrong with a file, and in which line, from 1.
struct file_mistake {
  size_t line = 0;
  std::string reason;
};

/// Where the annotations of an operation stand that its SQL may contradict; 0 for one that is not there.
struct annotation_lines {
  size_t cache = 0;
  size_t expect = 0;
  size_t foreign_keys = 0;
  size_t column = 0;
  /// One for each of the operation's parameters.
  std::vector<size_t> parameters;
  std::vector<returning_line> returning;
};

/// Cuts `sql`, which begins in `first_line`, into the statements of `to`, and completes its parameters. Then checks the
/// operation as a whole. Pure; safe from any thread.
/// @param lines of the annotations of `to`
/// @return all mistakes, in no order
std::vector<file_mistake> complete_operation(operation& to, std::string_view sql, size_t first_line,
                                             const annotation_lines& lines);

} // namespace sluice
