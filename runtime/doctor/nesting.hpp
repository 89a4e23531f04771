#pragma once

#include "runtime/doctor/finding.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::doctor {

/// The folder between `root` and the database `name`, relative to `root`, that is a store of its own; nothing if there
/// is none.
std::optional<std::filesystem::path> inner_store_of(const std::filesystem::path& root, const std::string& name);

/// Whether stores are nested: folders with a `.sluice/` of their own below `root` (of the first few thousand entries)
/// or above it, and databases that were used through `root` and are now in one of them.
findings check_nesting(const std::filesystem::path& root, const std::vector<std::string>& databases);

} // namespace sluice::doctor
