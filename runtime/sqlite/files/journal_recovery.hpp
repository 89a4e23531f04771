#pragma once

#include <caf/expected.hpp>

#include <chrono>
#include <filesystem>

/// Rollback journals that a program left behind when it was killed in the middle of a transaction ("hot" journals).
/// The database is half written until the journal is rolled back, which a read-only connection may not do.
namespace sluice::sqlite {

/// Whether there is a rollback journal beside the database at `path` that is not empty and not marked as done with. It
/// is hot unless the program that writes it lives.
bool has_rollback_journal(const std::filesystem::path& path) noexcept;

/// Rolls back a hot journal of the database at `path`, as the first program would that opens it for writing; answers
/// with whether there was one. Writes nothing else: the database stays in its journal mode and gets no ledger. May run
/// beside other connections: SQLite's lock lets one of them roll back.
///
/// `errc::busy` when the lock is not to be had in `patience`, `not_authorized` when the journal belongs to another
/// user, `read_only` when the database or its folder may not be written.
caf::expected<bool> recover_journal(const std::filesystem::path& path, std::chrono::milliseconds patience);

} // namespace sluice::sqlite
