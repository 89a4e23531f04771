#pragma once

#include <filesystem>

namespace sluice::sqlite {

/// Makes SQLite move the content of the `-wal` file beside the database at `path` into the database, and remove `-wal`
/// and `-shm`: read-only connections leave them, and so does a connection that was not closed. No effect when there is
/// no such file, or when any other connection, in any process, has the database open. @pre the caller leads the store
void remove_wal_files(const std::filesystem::path& path) noexcept;

/// Gives the `-wal` and `-shm` beside the database at `path` the mode of the database, if they belong to this user:
/// SQLite created them with the database's mode at that time, and could not write to a database that has become
/// writable since.
void align_modes(const std::filesystem::path& path);

} // namespace sluice::sqlite
