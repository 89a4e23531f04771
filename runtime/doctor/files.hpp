#pragma once

#include "runtime/doctor/finding.hpp"

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice::doctor {

/// Whether the files of the databases in `root` are those that the broker uses, or used last (`file_registry`). Reports
/// files that were removed or replaced meanwhile, logs of removed files, and the content of `.sluice/set-aside/`.
/// @param leader the process whose open files to examine; 0 without a leader
findings check_files(const std::filesystem::path& root, const std::vector<std::string>& databases, pid_t leader);

} // namespace sluice::doctor
