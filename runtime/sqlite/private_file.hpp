#pragma once

#include "runtime/sqlite/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string_view>

/// What the broker's own files in `.sluice/` have in common.
namespace sluice::sqlite {

/// Makes the file if it is missing, empty and for its owner alone (SQLite would make it as the umask has it), and takes
/// an existing one from everybody else. What goes wrong is left for opening it to say.
void make_private(const std::filesystem::path& path) noexcept;

/// The first column of the first row, of SQL of our own that has one.
caf::expected<int64_t> read_number(const connection& db, std::string_view sql);

/// Runs `sql` in a transaction of its own, all or nothing.
caf::expected<void> exec_atomically(connection& db, const char* sql);

} // namespace sluice::sqlite
