#pragma once

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/chain_anchor.hpp"

#include <caf/expected.hpp>

#include <optional>
#include <string>
#include <string_view>

/// The rows of `_sluice_meta`.
namespace sluice::sqlite {

/// Nothing if there is no such row.
caf::expected<std::optional<std::string>> read_meta(const connection& db, std::string_view name);

/// Stores the row, in the open transaction.
caf::expected<void> write_meta(const connection& db, std::string_view name, const std::string& content);

/// `errc::ledger_damaged`.
caf::error unreadable_meta(std::string_view name);

/// The row `anchor`: the new beginning of the chain of commit records after the retention removed some. Nothing in a
/// complete ledger. `errc::ledger_damaged` when it cannot be read.
caf::expected<std::optional<chain_anchor>> read_ledger_anchor(const connection& db);

/// Signs `anchor`, and replaces the previous one, in the open transaction.
caf::expected<void> write_ledger_anchor(const connection& db, chain_anchor anchor, const signing_key& key);

/// As `doubt_about`, for the anchor of a ledger.
inline std::string doubt_about_ledger(const chain_anchor& anchor, const std::filesystem::path& key_file) {
  return doubt_about(anchor, "ledger", key_file);
}

} // namespace sluice::sqlite
