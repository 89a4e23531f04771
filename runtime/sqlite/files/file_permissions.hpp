#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Functions for all of the broker's own files in `.sluice/`.
namespace sluice::sqlite {

/// Makes an empty file for its owner alone if it is missing (SQLite would make it with the umask's mode), and gives an
/// existing one that mode. Errors are not reported here: opening the file reports them.
void make_private(const std::filesystem::path& path) noexcept;

/// Gives a damaged file, with its `-wal` and `-shm`, the name `NAME.damaged-TIME`, of the time `now_us`, and returns
/// that name. @pre no process has it open
caf::expected<std::string> set_file_aside(const std::filesystem::path& path, int64_t now_us);

/// The names of the damaged files that were renamed from `path`, oldest first, without those acknowledged.
std::vector<std::string> files_set_aside(const std::filesystem::path& path);

/// Renames a damaged file to `NAME.kept-TIME`, when it has been acknowledged; returns that name.
caf::expected<std::string> acknowledge_file(const std::filesystem::path& path);

/// The first column of the first row, of SQL of our own that has one.
caf::expected<int64_t> read_number(const connection& db, std::string_view sql);

/// Runs `sql` in a transaction of its own, all or nothing.
caf::expected<void> exec_atomically(connection& db, const char* sql);

} // namespace sluice::sqlite
