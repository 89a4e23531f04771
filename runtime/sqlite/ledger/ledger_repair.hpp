#pragma once

#include "actors/base/clock.hpp"
#include "messages/ledger.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace sluice::sqlite {

struct ledger_repair {
  /// The repairs, for people; empty if there was no damage.
  std::vector<std::string> actions;
  /// The epoch that was begun; its `id` is empty when none was.
  ledger_epoch epoch;
  /// The ledger standing from now on.
  ledger_standing standing;
};

/// Repairs the ledger of the database at `path`, if it has one and it is damaged or falls short of what is known of it.
///
/// Drops triggers, views and indexes that are not its own, renames tables that bear its names (`set_aside` comes in
/// front), makes missing tables, removes rows whose numbers were never issued, and begins a new epoch behind every
/// number that the ledger or `known` has. All of it is one transaction; doing it twice changes nothing more. Errors as
/// `connection::open`; `protocol_mismatch` for a ledger of another format. An anchor that is in doubt is signed anew
/// with the key in `key_file`, or removed if its records do not begin there. @pre the caller leads the store
caf::expected<ledger_repair> repair_ledger(const std::filesystem::path& path, const ledger_standing& known,
                                           ledger_fault fault, const clock& time,
                                           const std::filesystem::path& key_file = {});

} // namespace sluice::sqlite
