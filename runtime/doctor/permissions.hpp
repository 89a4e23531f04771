#pragma once

#include "runtime/doctor/finding.hpp"

#include <filesystem>
#include <sys/types.h>

namespace sluice::doctor {

/// Whether the user `uid` can lead the store in `root`, and nobody else can read what is meant for the broker alone:
/// modes and owners of the folder, of `.sluice/` and what is in it, and of the databases named and their WALs. Looks at
/// modes, not at what this process may do, so that root is told what others will meet.
findings check_permissions(const std::filesystem::path& root, const std::vector<std::string>& databases, uid_t uid);

} // namespace sluice::doctor
