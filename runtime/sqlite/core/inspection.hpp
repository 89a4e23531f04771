#pragma once

#include "messages/audit.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice::sqlite {

struct inspection_options {
  /// Runs `integrity_check` instead of `quick_check`: compares indexes with their tables, too.
  bool deep = false;
  /// The time limit of each part of the inspection; zero means no limit.
  std::chrono::milliseconds budget{5'000};
  /// The store's key, with which the anchor of a ledger must be signed; empty for any.
  std::filesystem::path key_file{};
};

/// The result of inspecting a database.
struct inspection {
  /// The output of SQLite's check, at most ten lines; empty when it finds no error.
  std::vector<std::string> damage;
  /// False when the check exceeded its time; `damage` may then be incomplete.
  bool checked = true;
  /// The verdict on the chain of the ledger's commits; nothing when there is no ledger or it was not read to its end.
  std::optional<audit_verdict> ledger;
  /// The error in reading the ledger; nothing on success, or if there is no ledger.
  std::optional<failure> ledger_error;
  bool ledger_checked = true;
  /// The number of the first commit of the ledger's epoch; more than 1 where the ledger was begun again.
  uint64_t epoch_begins = 1;
  /// Describes idempotency keys that would expire early, for people; empty when there are none.
  std::string early_keys;
  /// Triggers on other tables that contain names of the ledger, as "trigger t on users".
  std::vector<std::string> triggers_into_ledger;
  /// The objects of the schema that depend on text in double quotes, as "trigger t1".
  std::vector<std::string> double_quoted;
};

/// Inspects the database at `path`, read-only: never writes, never checkpoints, and leaves no new files. Errors as
/// `connection::open`.
caf::expected<inspection> inspect(const std::filesystem::path& path, const inspection_options& options);

/// Calls `look` with options to open the file at `path` without leaving files: as immutable if it has no WAL; and
/// again, in the usual way, if another program opened it meanwhile.
void look_without_traces(const std::filesystem::path& path, const std::function<void(bool immutable)>& look);

/// The `ledgers_of` of the folder `root`, read in this way.
ledger_source ledgers_without_traces(const std::filesystem::path& root);

/// The number of rejected rows in the buffer file at `path`; 0 when there is no such file. Errors as
/// `connection::open`.
caf::expected<uint64_t> count_rejected_rows(const std::filesystem::path& path);

/// Whether this SQLite may lose commits when two connections write or checkpoint a WAL at the same moment, as 3.7.0 to
/// 3.51.2 may.
bool has_wal_reset_bug() noexcept;

/// The version of SQLite, as "3.40.1".
std::string version();

} // namespace sluice::sqlite
