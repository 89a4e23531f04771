#pragma once

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// Damaged databases of the broker in `.sluice/`, which it keeps under another name.
namespace sluice::sqlite {

/// Renames a damaged file, with its `-wal` and `-shm`, to `NAME.damaged-TIME` with the time `now_us`, and returns that
/// name. @pre no process has it open
caf::expected<std::string> move_damaged_file(const std::filesystem::path& path, int64_t now_us);

/// The names of the damaged files that were renamed from `path`, oldest first, without those acknowledged.
std::vector<std::string> find_damaged_files(const std::filesystem::path& path);

/// The name that `acknowledge_damaged_file` would give to `path` now: `NAME.kept-TIME`.
std::string acknowledged_name(const std::filesystem::path& path);

/// Renames a damaged file to its `acknowledged_name`, and returns that.
caf::expected<std::string> acknowledge_damaged_file(const std::filesystem::path& path);

} // namespace sluice::sqlite
