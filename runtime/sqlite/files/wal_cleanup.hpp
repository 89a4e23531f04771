#pragma once

#include <filesystem>

namespace sluice::sqlite {

/// Has SQLite move what lies in the `-wal` file beside the database at `path` into it, and remove `-wal` and `-shm`:
/// connections that only read leave them behind, and so does one that was not closed. Does nothing when there is no
/// such file, or when any other connection, in whatever process, has the database open. @pre the caller leads the store
void remove_wal_files(const std::filesystem::path& path) noexcept;

/// Gives the `-wal` and `-shm` beside the database at `path` the mode of the database, if they are ours: SQLite made
/// them with the mode that it had then, and could not write to a database that has become writable since.
void align_modes(const std::filesystem::path& path);

} // namespace sluice::sqlite
