#pragma once

#include <cstdint>

namespace sluice {

/// Mistakes that the simulation makes on purpose, to show that it would find them (docs/internals/simulation.md). Asked
/// about in source files only, which the simulation compiles once more for itself; anywhere else there are none.
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

#ifdef SLUICE_DEFECTS
bool has(defect x) noexcept;
#else
constexpr bool has(defect) noexcept { return false; }
#endif

} // namespace sluice
