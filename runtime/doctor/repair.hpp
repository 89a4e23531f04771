#pragma once

#include "actors/base/clock.hpp"
#include "runtime/store/store_root.hpp"

#include <caf/expected.hpp>
#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace sluice::doctor {

/// One step of a repair, done or failed.
struct repair_action {
  /// A database, or a file of the broker's.
  std::string subject;
  std::string text;
  bool failed = false;
};

using repair_actions = std::vector<repair_action>;

/// Makes the repairs that need no decision: repairs ledgers (`sqlite::repair_ledger`); replaces a damaged audit file by
/// one that is completed from the ledgers; renames damaged files of the log and of the buffer. Acknowledges damaged
/// audit files by renaming them to `audit.db.kept-TIME`; the audit records that of this repair under the new name. Each
/// repair of a ledger is a record of type `repair` in the audit. Idempotent: returns nothing when no repair was needed.
/// @pre the caller holds the store's lock, and this process has no connection to the store's databases
repair_actions repair_store(const store_root& root, const clock& time);

/// [{"subject", "text", "failed"}]
nlohmann::json as_json(const repair_actions& actions);

} // namespace sluice::doctor
