#pragma once

#include <caf/expected.hpp>

#include <chrono>
#include <filesystem>

/// Rollback journals that a program left when it was killed in the middle of a transaction ("hot" journals). The
/// database is half written until the journal is rolled back, which a read-only connection cannot do.
namespace sluice::sqlite {

/// Whether there is a rollback journal beside the database at `path` that is not empty and not marked as finished. It
/// is hot unless the program that writes it is still running.
bool has_rollback_journal(const std::filesystem::path& path) noexcept;

/// Rolls back a hot journal of the database at `path`, as the first program would that opens it for writing; returns
/// whether there was one. Writes nothing else: the database keeps its journal mode and gets no ledger. May run beside
/// other connections: SQLite's lock lets one of them roll back.
///
/// `errc::busy` when the lock cannot be had within `lock_timeout`, `not_authorized` when the journal belongs to another
/// user, `read_only` when the database or its folder is read-only.
caf::expected<bool> recover_journal(const std::filesystem::path& path, std::chrono::milliseconds lock_timeout);

} // namespace sluice::sqlite
