#pragma once

#include <cstdint>
#include <filesystem>

namespace sluice::sqlite {

/// Whether the file begins as SQLite databases do, or is still empty. False for what cannot be read.
///
/// It is read through SQLite: POSIX drops all locks that a process has on a file when it closes any descriptor of it,
/// and SQLite alone knows when that would take the lock from a connection that the process has open. Without its lock,
/// external connections would not notice that connection, and the last of them to close would delete its WAL.
bool looks_like_database(const std::filesystem::path& file) noexcept;

/// How a database keeps a transaction that is under way, as its file says.
enum class journal_kind : uint8_t {
  /// The file is empty, so the first writer decides.
  undecided,
  rollback,
  wal,
  /// It is no database, or cannot be read.
  none,
};

/// Which it is; read as above.
journal_kind journal_of(const std::filesystem::path& file) noexcept;

} // namespace sluice::sqlite
