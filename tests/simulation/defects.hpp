#pragma once

#include "tests/simulation/defect.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sluice::simulation {

/// A deliberate mistake, and its effect on the broker.
struct known_defect {
  defect which;
  std::string_view name;
  std::string_view effect;
  /// The seed with which a test begins the search: near the first one that finds the defect, if that comes late.
  uint64_t search_from = 1;
};

/// Empty in a build without the sources of defects.patch (with sanitizers).
std::span<const known_defect> known_defects();

std::optional<known_defect> find_defect(std::string_view name);

/// Gives the broker the defect for its lifetime.
class with_defect {
public:
  explicit with_defect(defect defect);
  ~with_defect();
  with_defect(const with_defect&) = delete;
  with_defect& operator=(const with_defect&) = delete;
};

} // namespace sluice::simulation
