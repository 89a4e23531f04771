#pragma once

#include "runtime/lab/bench/bench_case.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace sluice::bench {

struct plot_line {
  std::string name;
  /// x and y, both above 0, in the order of x.
  std::vector<std::pair<double, double>> points;
};

struct plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<plot_line> lines;
};

/// An SVG document: both axes logarithmic, readable on a light and on a dark background.
std::string draw(const plot& chart);

/// Writes two files for each family of cases that has several sizes, `rate-FAMILY.svg` and `p99-FAMILY.svg`, with a
/// line per contender. Returns their paths; throws when a file cannot be written.
std::vector<std::filesystem::path> write_plots(const std::vector<case_result>& all,
                                               const std::filesystem::path& folder);

} // namespace sluice::bench
