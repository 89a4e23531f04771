#pragma once

// The copies check preconditions, also where the program does not.
#undef NDEBUG

#include <cassert>
#include <cstdint>

namespace sluice {

/// Deliberate defects, which show that the simulation finds mistakes (docs/internals/simulation.md). defects.patch puts
/// the conditions `has(defect::...)` into copies of the sources, and defects.sh has every copy include this header.
enum class defect : uint8_t {
  none,
  acknowledge_failed_commit,
  deny_unknown,
  leave_lost_commit,
  forget_stamps,
  forget_schema_change,
  reverse_ledger,
  forget_key,
  join_stale_flight,
  keep_stale_answer,
  forget_lost_reader,
  drop_audit_record,
  forget_release,
  lose_journal,
  skip_fsync,
  trust_found_log,
  skip_commit_number,
  ignore_payload,
  search_no_records,
  keep_failed_statements,
  forget_removed_log,
  keep_old_log,
  overlook_external_commit,
  age_keys_by_wall_clock,
  accept_older_ledger,
  skip_file_check,
  keep_commit_number,
  trust_left_log,
  serve_in_order,
  serve_names_in_turn,
  forget_deadlines,
};

/// Whether the broker has `defect` now (`simulation::with_defect`). Thread-safe as long as it is not changed.
bool has(defect defect) noexcept;

} // namespace sluice
