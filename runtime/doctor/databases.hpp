#pragma once

#include "runtime/doctor/finding.hpp"
#include "runtime/sqlite/core/inspection.hpp"
#include "runtime/sqlite/files/file_header.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace sluice::doctor {

/// Whether the database is in WAL mode, and the consequence if not. @param others whether a process outside the broker
/// has it open
finding judge_journal(const std::string& db, sqlite::journal_kind kind, bool others);

/// Whether its pages, its ledger and the dependencies of its schema are in order. @param has_journal the result of
/// `sqlite::has_rollback_journal`
findings judge_inspection(const std::string& db, const caf::expected<sqlite::inspection>& inspected,
                          bool has_journal = false);

/// The ledgers of the store `root` that contradict its audit. @param skipped databases whose paths lead to other files
/// than those that the broker uses
findings judge_ledgers(const std::filesystem::path& root, const std::set<std::string>& skipped = {});

/// The damaged files that were renamed when a new audit file `audit` replaced them.
findings judge_damaged_files(const std::filesystem::path& audit);

/// The databases of the store `root`: the files in it, and those that its audit knows. The names lead nowhere outside.
/// Leaves no traces. @pre this process has no connection to the audit
std::vector<std::string> known_databases(const std::filesystem::path& root);

/// Adds the name of a database once; leaves out one that leads out of the root.
void add_database(std::vector<std::string>& databases, const std::string& name);

/// Whether this SQLite has a bug that affects sluice.
finding judge_sqlite();

/// Whether the audit chain of the store `root` is complete, up to the last record that a broker wrote.
finding check_audit(const std::filesystem::path& root);

} // namespace sluice::doctor
