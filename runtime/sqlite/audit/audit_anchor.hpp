#pragma once

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/chain_anchor.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <optional>

namespace sluice::sqlite {

/// "CREATE TABLE ...": at most one row. Files of earlier versions get it when they are opened for writing.
inline constexpr const char* anchor_table =
  "CREATE TABLE IF NOT EXISTS anchor(id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL, "
  "records INTEGER NOT NULL, pruned_us INTEGER NOT NULL, key BLOB NOT NULL, signature BLOB NOT NULL) STRICT;";

/// Nothing if no record was removed from the file.
caf::expected<std::optional<chain_anchor>> read_anchor(const connection& db);

/// Signs `anchor` and replaces the previous one.
caf::expected<void> write_anchor(const connection& db, chain_anchor anchor, const signing_key& key);

/// The file of the key with which the anchors of the audit file `audit` are signed.
std::filesystem::path anchor_key_path(const std::filesystem::path& audit);

} // namespace sluice::sqlite
