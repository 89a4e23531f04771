#include "tests/simulation/defects.hpp"

#include <algorithm>
#include <array>

namespace sluice {

#ifdef SLUICE_DEFECTS

namespace {

defect active_defect = defect::none;

} // namespace

bool has(defect x) noexcept { return active_defect == x; }

#endif

namespace simulation {

namespace {

#ifdef SLUICE_DEFECTS
constexpr std::array catalogue{
  known_defect{defect::acknowledge_failed_commit, "acknowledge_failed_commit", "a COMMIT that failed is acknowledged"},
  known_defect{defect::deny_unknown, "deny_unknown", "a COMMIT whose outcome is not known is refused"},
  known_defect{defect::leave_lost_commit, "leave_lost_commit",
               "what a failed COMMIT leaves in the log is not overwritten"},
  known_defect{defect::forget_stamps, "forget_stamps", "the last table that a commit touched keeps its stamp"},
  known_defect{defect::forget_schema_change, "forget_schema_change", "a schema change invalidates nothing"},
  known_defect{defect::reverse_ledger, "reverse_ledger", "a commit record lists its requests backwards"},
  known_defect{defect::forget_key, "forget_key", "idempotency keys are not kept"},
  known_defect{defect::join_stale_flight, "join_stale_flight", "a read joins any identical one under way"},
  known_defect{defect::keep_stale_answer, "keep_stale_answer", "an answer is kept as of its end, not of its beginning"},
  known_defect{defect::forget_lost_reader, "forget_lost_reader", "whoever waits for a reader that died is not told"},
  known_defect{defect::drop_audit_record, "drop_audit_record", "the last record of several is not audited"},
  known_defect{defect::forget_release, "forget_release", "a refused write stays in the admission's count"},
  known_defect{defect::lose_journal, "lose_journal", "what is in no batch is not recovered from the journal"},
  known_defect{defect::skip_fsync, "skip_fsync", "COMMIT does not wait for the disk"},
  known_defect{defect::trust_found_log, "trust_found_log", "what is found in the log is not synced before it is used"},
  known_defect{defect::skip_commit_number, "skip_commit_number", "every other commit number is left out"},
  known_defect{defect::ignore_payload, "ignore_payload", "a key is recognized whatever its payload"},
  known_defect{defect::keep_failed_statements, "keep_failed_statements",
               "what precedes a failed statement in its request is not undone"},
  known_defect{defect::forget_removed_log, "forget_removed_log", "a log that was removed is not written again"},
  known_defect{defect::keep_old_log, "keep_old_log", "the log of a file that was replaced stays beside the new one"},
  known_defect{defect::overlook_external_commit, "overlook_external_commit", "external commits are not noticed"},
  known_defect{defect::age_keys_by_wall_clock, "age_keys_by_wall_clock", "keys are aged by the wall clock"},
  known_defect{defect::accept_older_ledger, "accept_older_ledger",
               "a ledger that ends before the newest commit is written on"},
  known_defect{defect::skip_file_check, "skip_file_check", "the files at the path are not looked at"},
  known_defect{defect::keep_commit_number, "keep_commit_number",
               "what is read from a replaced file is as of the old one's newest commit"},
  known_defect{defect::trust_left_log, "trust_left_log",
               "a broker that starts takes the log beside a database for that of the database"},
  known_defect{defect::serve_in_order, "serve_in_order", "what waits is served first come, first served"},
  known_defect{defect::serve_names_in_turn, "serve_names_in_turn",
               "reads take turns of names, whichever process they are of"},
  known_defect{defect::forget_deadlines, "forget_deadlines", "writes that wait are not answered at their deadlines"},
};
#else
constexpr std::array<known_defect, 0> catalogue{};
#endif

} // namespace

std::span<const known_defect> known_defects() { return catalogue; }

std::optional<known_defect> find_defect(std::string_view name) {
  for (const auto& x : catalogue)
    if (x.name == name)
      return x;
  return std::nullopt;
}

#ifdef SLUICE_DEFECTS
with_defect::with_defect(defect x) { active_defect = x; }
with_defect::~with_defect() { active_defect = defect::none; }
#else
with_defect::with_defect(defect) {}
with_defect::~with_defect() = default;
#endif

} // namespace simulation

} // namespace sluice
