#pragma once

#include "actors/base/clock.hpp"
#include "runtime/store/store_root.hpp"

#include <caf/expected.hpp>
#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace sluice::doctor {

/// One thing that a repair did, or could not do.
struct repair_action {
  /// A database, or a file of the broker's.
  std::string subject;
  std::string text;
  bool failed = false;
};

using repair_actions = std::vector<repair_action>;

/// Makes the repairs that need no decision: ledgers (`sqlite::repair_ledger`); a damaged audit file, which is renamed
/// and replaced by one completed from the ledgers; damaged files of the log and of the buffer, which are renamed.
/// Acknowledges audit files that were renamed before. Each repair of a ledger is a record of type `repair` in the
/// audit. Idempotent: returns nothing when no repair was needed. @pre the caller holds the store's lock, and this
/// process has no connection to the store's databases
repair_actions repair_store(const store_root& root, const clock& time);

/// [{"subject", "text", "failed"}]
nlohmann::json as_json(const repair_actions& actions);

} // namespace sluice::doctor
