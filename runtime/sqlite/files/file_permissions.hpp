#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// What the broker's own files in `.sluice/` have in common.
namespace sluice::sqlite {

/// Makes the file if it is missing, empty and for its owner alone (SQLite would make it as the umask has it), and takes
/// an existing one from everybody else. What goes wrong is left for opening it to say.
void make_private(const std::filesystem::path& path) noexcept;

/// Gives a damaged file, with its `-wal` and `-shm`, the name `NAME.damaged-TIME`, of the time `now_us`, and answers
/// with that name. @pre nobody has it open
caf::expected<std::string> set_file_aside(const std::filesystem::path& path, int64_t now_us);

/// The names of the files that were set aside in the place of `path`, oldest first, without those acknowledged.
std::vector<std::string> files_set_aside(const std::filesystem::path& path);

/// Renames a file that was set aside to `NAME.kept-TIME`, because somebody knows of it; answers with that name.
caf::expected<std::string> acknowledge_file(const std::filesystem::path& path);

/// The first column of the first row, of SQL of our own that has one.
caf::expected<int64_t> read_number(const connection& db, std::string_view sql);

/// Runs `sql` in a transaction of its own, all or nothing.
caf::expected<void> exec_atomically(connection& db, const char* sql);

} // namespace sluice::sqlite
