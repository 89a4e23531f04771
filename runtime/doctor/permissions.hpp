#pragma once

#include "runtime/doctor/finding.hpp"

#include <filesystem>
#include <sys/types.h>

namespace sluice::doctor {

/// Whether the user `uid` can lead the store in `root`, and no other user can read the broker's own files: modes and
/// owners of the folder, of `.sluice/` and its files, and of the named databases and their WALs. Compares modes, not
/// the rights of this process, so that root gets the same result.
findings check_permissions(const std::filesystem::path& root, const std::vector<std::string>& databases, uid_t uid);

} // namespace sluice::doctor
