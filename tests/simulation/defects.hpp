#pragma once

#include "tests/simulation/defect.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sluice::simulation {

/// A deliberate mistake, and what the broker does with it.
struct known_defect {
  defect which;
  std::string_view name;
  std::string_view effect;
  /// Where a test begins to look for it: near the first seed that finds it, if that comes late.
  uint64_t search_from = 1;
};

/// Empty in a build without the sources of defects.patch (with sanitizers).
std::span<const known_defect> known_defects();

std::optional<known_defect> find_defect(std::string_view name);

/// As long as this lives, the broker has the defect.
class with_defect {
public:
  explicit with_defect(defect defect);
  ~with_defect();
  with_defect(const with_defect&) = delete;
  with_defect& operator=(const with_defect&) = delete;
};

} // namespace sluice::simulation
