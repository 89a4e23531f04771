#pragma once

#include <cstdint>
#include <filesystem>

namespace sluice::sqlite {

/// Whether the file begins like an SQLite database, or is still empty. False for an unreadable file.
///
/// Reads through SQLite: POSIX drops all locks that a process has on a file when it closes any descriptor of it, and
/// only SQLite knows when that would take the lock from a connection of the process. Without its lock, external
/// connections would not notice that connection, and the last of them to close would delete its WAL.
bool looks_like_database(const std::filesystem::path& file) noexcept;

/// The journal mode of a database, according to its file.
enum class journal_kind : uint8_t {
  /// The file is empty, so the first writer decides.
  undecided,
  rollback,
  wal,
  /// It is not a database, or cannot be read.
  none,
};

/// The journal kind of the file; read as above.
journal_kind journal_of(const std::filesystem::path& file) noexcept;

} // namespace sluice::sqlite
