#pragma once

#include "messages/write.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <optional>

namespace sluice::sqlite {

/// What the table of migrations (`migrations_definition`) says about a migration: nothing if it may be applied; its
/// commit (`replayed`, without results) if it was applied before. `errc::conflict` if its number was applied with
/// another hash, or if it is lower than one that was applied. @pre `request.migration`, and a transaction is open
caf::expected<std::optional<write_result>> find_applied(const connection& db, const write_request& request);

/// Adds the row of a migration that was applied in the open transaction, and makes the table if there is none. A
/// migration is rare, so nothing is prepared in advance. @pre `request.migration`, which `find_applied` did not find
caf::expected<void> record_applied(const connection& db, const write_request& request, const write_result& result,
                                   int64_t applied_us);

} // namespace sluice::sqlite
