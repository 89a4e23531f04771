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
  /// The new epoch; its `id` is empty when none was begun.
  ledger_epoch epoch;
  /// The ledger standing from now on.
  ledger_standing standing;
};

/// Repairs the ledger of the database at `path`, if it has one that is damaged or lacks known commits.
///
/// Drops triggers, views and indexes of other programs on its tables, renames tables that have its names (with the
/// prefix `set_aside`), creates missing tables, removes rows whose numbers were never issued, and begins a new epoch
/// after every number that the ledger or `known` has. All of it is one transaction; repeating it changes nothing more.
/// Errors as `connection::open`; `protocol_mismatch` for a ledger of another format. Signs a doubtful anchor again with
/// the key in `key_file`, or removes it if the records do not begin there. @pre the caller leads the store
caf::expected<ledger_repair> repair_ledger(const std::filesystem::path& path, const ledger_standing& known,
                                           ledger_fault fault, const clock& time,
                                           const std::filesystem::path& key_file = {});

} // namespace sluice::sqlite
