#include "tests/simulation/defects.hpp"

#include <algorithm>
#include <array>

namespace sluice {

#ifdef SLUICE_DEFECTS

namespace {

defect active_defect = defect::none;

} // namespace

bool has(defect defect) noexcept { return active_defect == defect; }

#endif

namespace simulation {

namespace {

#ifdef SLUICE_DEFECTS
constexpr std::array catalogue{
  known_defect{defect::acknowledge_failed_commit, "acknowledge_failed_commit", "a COMMIT that failed is acknowledged"},
  known_defect{defect::deny_unknown, "deny_unknown", "a COMMIT of unknown outcome is answered as refused"},
  known_defect{defect::leave_lost_commit, "leave_lost_commit",
               "frames of a failed COMMIT are not overwritten in the WAL", 2'500},
  known_defect{defect::forget_stamps, "forget_stamps", "the last table that a commit changed keeps its stamp"},
  known_defect{defect::forget_schema_change, "forget_schema_change", "a schema change invalidates nothing"},
  known_defect{defect::reverse_ledger, "reverse_ledger", "a commit record lists its requests backwards"},
  known_defect{defect::forget_key, "forget_key", "idempotency keys are not kept"},
  known_defect{defect::join_stale_flight, "join_stale_flight", "a read joins any identical read under way"},
  known_defect{defect::keep_stale_answer, "keep_stale_answer",
               "an answer is cached as of its end, not of its beginning"},
  known_defect{defect::forget_lost_reader, "forget_lost_reader", "reads of a reader that died are not answered"},
  known_defect{defect::drop_audit_record, "drop_audit_record", "the last record of several is not audited"},
  known_defect{defect::forget_release, "forget_release", "a refused write keeps its place in the quota"},
  known_defect{defect::lose_journal, "lose_journal", "operations in no batch are not recovered from the journal"},
  known_defect{defect::skip_fsync, "skip_fsync", "COMMIT does not wait for the disk"},
  known_defect{defect::trust_found_log, "trust_found_log", "a WAL that is found is not synced before it is used"},
  known_defect{defect::skip_commit_number, "skip_commit_number", "every other commit number is skipped"},
  known_defect{defect::ignore_payload, "ignore_payload", "a key is recognized whatever its payload"},
  known_defect{defect::search_no_records, "search_no_records",
               "automatic keys are not looked for in the commit records on the disk"},
  known_defect{defect::keep_failed_statements, "keep_failed_statements",
               "statements before a failed one in its request are not undone"},
  known_defect{defect::forget_removed_log, "forget_removed_log", "a WAL that was removed is not written again"},
  known_defect{defect::keep_old_log, "keep_old_log", "the WAL of a replaced file stays beside the new file"},
  known_defect{defect::overlook_external_commit, "overlook_external_commit", "external commits are not noticed"},
  known_defect{defect::age_keys_by_wall_clock, "age_keys_by_wall_clock", "keys age by the wall clock"},
  known_defect{defect::accept_older_ledger, "accept_older_ledger",
               "a ledger that ends before the newest commit is continued"},
  known_defect{defect::skip_file_check, "skip_file_check", "the files at the path are not checked"},
  known_defect{defect::keep_commit_number, "keep_commit_number",
               "reads of a replaced file carry the old file's newest commit number"},
  known_defect{defect::trust_left_log, "trust_left_log", "a starting broker accepts any WAL beside a database"},
  known_defect{defect::serve_in_order, "serve_in_order", "waiting requests are served first come, first served"},
  known_defect{defect::serve_names_in_turn, "serve_names_in_turn", "reads take turns of names, not of processes"},
  known_defect{defect::forget_deadlines, "forget_deadlines", "waiting writes are not answered at their deadlines"},
};
#else
constexpr std::array<known_defect, 0> catalogue{};
#endif

} // namespace

std::span<const known_defect> known_defects() { return catalogue; }

std::optional<known_defect> find_defect(std::string_view name) {
  for (const auto& each : catalogue)
    if (each.name == name)
      return each;
  return std::nullopt;
}

#ifdef SLUICE_DEFECTS
with_defect::with_defect(defect defect) { active_defect = defect; }
with_defect::~with_defect() { active_defect = defect::none; }
#else
with_defect::with_defect(defect) {}
with_defect::~with_defect() = default;
#endif

} // namespace simulation

} // namespace sluice
