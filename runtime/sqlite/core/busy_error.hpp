#pragma once

#include <caf/error.hpp>

#include <filesystem>

namespace sluice::sqlite {

/// `reason`, which says that the database at `path` is locked, with the name of the process that holds the lock, if it
/// can be found. An error with `retry_after_ms` has another cause, and stays unchanged.
caf::error busy_for(const std::filesystem::path& path, const caf::error& reason);

} // namespace sluice::sqlite
