#include "runtime/doctor/databases.hpp"

#include "actors/base/counted.hpp"
#include "runtime/broker/store_status.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/sqlite/audit/audit_check.hpp"
#include "runtime/sqlite/audit/audit_end.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/core/inspection.hpp"
#include "runtime/sqlite/files/damaged_files.hpp"
#include "runtime/store/file_registry.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace sluice::doctor {

namespace {

constexpr const char* restore =
  "restore it from a backup (docs/operations/running.md); the number of the newest commit in the "
  "backup's ledger says how far it goes";

constexpr const char* repair_advice =
  "sluice doctor ROOT --repair begins a new epoch of the ledger, and drops triggers, views and indexes on it that are "
  "not its own";

finding judge_pages(const std::string& db, const sqlite::inspection& found) {
  if (!found.damage.empty())
    return {severity::problem, "integrity", db, fmt::format("it is damaged: {}", fmt::join(found.damage, "; ")),
            restore};
  if (!found.checked)
    return {severity::note, "integrity", db, "it is too large to be checked in the time allowed",
            "sluice doctor --deep takes the time it needs"};
  return {severity::ok, "integrity", db, "its pages are in order"};
}

std::string extent_of(const audit_verdict& ledger) {
  auto kept = counted(ledger.records, "commit");
  return ledger.pruned == 0 ? kept
                            : fmt::format("{}; {} before were removed", kept, counted(ledger.pruned, "older one"));
}

finding judge_ledger(const std::string& db, const sqlite::inspection& found) {
  constexpr const char* compare = "compare with a backup; a program with write access changed it without the broker";
  if (found.ledger && found.ledger->broken == 0 && !found.ledger->problems.empty())
    return {severity::problem, "ledger", db, found.ledger->problems.front(),
            std::string{compare} + "; sluice doctor ROOT --repair accepts where it begins"};
  if (found.ledger && !found.ledger->intact())
    return {severity::problem, "ledger", db,
            fmt::format("commit {} in its ledger is broken: {} ({} of {} are)", found.ledger->first_broken,
                        found.ledger->reason, found.ledger->broken, found.ledger->records),
            std::string{compare} + "; " + repair_advice};
  if (found.ledger_error && found.ledger_error->code == errc::ledger_damaged)
    return {severity::problem, "ledger", db, found.ledger_error->message, repair_advice};
  if (found.ledger_error)
    return {severity::problem, "ledger", db, "its ledger cannot be read: " + found.ledger_error->message,
            found.ledger_error->code == errc::protocol_mismatch ? "use a sluice of its version" : compare};
  if (!found.ledger_checked)
    return {severity::note, "ledger", db, "its ledger is too long to be verified in the time allowed",
            "sluice doctor --deep takes the time it needs"};
  if (!found.ledger)
    return {severity::ok, "ledger", db, "it has no ledger yet; the first write makes one"};
  if (found.epoch_begins > 1)
    return {severity::note, "ledger", db,
            fmt::format("the chain of its ledger ({}) is whole; a new epoch began with commit {}, because the file or "
                        "its ledger had been replaced, cut or lost: what was acknowledged before may be missing in it",
                        extent_of(*found.ledger), found.epoch_begins),
            fmt::format("sluice audit list --db {} shows every acknowledged write, and when the epoch began", db)};
  return {severity::ok, "ledger", db, fmt::format("the chain of its ledger ({}) is whole", extent_of(*found.ledger))};
}

findings judge_keys_and_triggers(const std::string& db, const sqlite::inspection& found) {
  findings result;
  if (!found.early_keys.empty())
    result.push_back(
      {severity::problem, "ledger", db, found.early_keys + "; another program changed _sluice_keys or _sluice_meta",
       "compare with a backup; do not repeat a write of before the change, but look whether it was applied"});
  for (const auto& trigger : found.triggers_into_ledger)
    result.push_back(
      {severity::warning, "ledger", db,
       "the " + trigger
         + " has a table of the ledger in its text: the broker refuses statements that would write there, "
           "and another program's statements would change the ledger",
       "look at it in sqlite_schema, and drop it"});
  return result;
}

findings judge_schema(const std::string& db, const sqlite::inspection& found) {
  if (found.double_quoted.empty())
    return {};
  return {
    {severity::note, "double_quotes", db,
     fmt::format("its schema has text in double quotes, which SQLite takes for a column first: {}. It works as it "
                 "did, but a column of that name would change what it means; requests are refused such text",
                 fmt::join(found.double_quoted, ", ")),
     "write the text in single quotes where you make these anew"}};
}

} // namespace

std::vector<std::string> known_databases(const std::filesystem::path& root) {
  std::vector<std::string> result;
  for (const auto& file : find_database_files(root))
    result.push_back(file.name);
  // The audit knows of databases in subfolders or with other endings, and of files that are no longer databases.
  auto audit = root / ".sluice/audit.db";
  sqlite::look_without_traces(audit, [&](bool immutable) {
    if (auto audited = sqlite::audited_databases(audit, immutable))
      for (const auto& name : *audited)
        add_database(result, name);
  });
  return result;
}

void add_database(std::vector<std::string>& databases, const std::string& name) {
  // Any program may have changed the audit file.
  auto path = std::filesystem::path{name}.lexically_normal();
  auto is_inside = !path.empty() && path.is_relative() && *path.begin() != "..";
  if (is_inside && std::find(databases.begin(), databases.end(), name) == databases.end())
    databases.push_back(name);
}

finding judge_journal(const std::string& db, sqlite::journal_kind kind, bool others) {
  switch (kind) {
  case sqlite::journal_kind::wal: return {severity::ok, "journal_mode", db, "WAL"};
  case sqlite::journal_kind::undecided:
    return {severity::ok, "journal_mode", db, "still empty; the first write makes it a WAL database"};
  case sqlite::journal_kind::none:
    return {severity::problem, "journal_mode", db, "it does not begin as SQLite databases do, or cannot be read",
            restore};
  case sqlite::journal_kind::rollback: break;
  }
  if (others)
    return {
      severity::warning, "journal_mode", db,
      "it has a rollback journal, in which readers and writers lock each other out; the first write through the "
      "broker makes it a WAL database, but waits while other processes lock it, and fails with busy at its deadline",
      "end them (see foreign_openers), or let one of them run PRAGMA journal_mode = WAL"};
  return {severity::note, "journal_mode", db,
          "it has a rollback journal, in which readers and writers lock each other out; the first write through the "
          "broker makes it a WAL database, for good",
          ""};
}

findings judge_inspection(const std::string& db, const caf::expected<sqlite::inspection>& inspected, bool has_journal) {
  if (inspected) {
    findings out{judge_pages(db, *inspected), judge_ledger(db, *inspected)};
    for (auto& found : judge_keys_and_triggers(db, *inspected))
      out.push_back(std::move(found));
    for (auto& schema : judge_schema(db, *inspected))
      out.push_back(std::move(schema));
    return out;
  }
  auto error = describe(inspected.error());
  // Only such a journal prevents a read-only connection from reading.
  if (has_journal && (error.code == errc::read_only || error.code == errc::io_error))
    return {{severity::warning, "rollback_journal", db,
             fmt::format("a program was killed while it wrote: {0}-journal is a hot rollback journal, and the database "
                         "is half written until it is rolled back",
                         db),
             fmt::format("read or write it once through sluice, which rolls it back; never delete or rename {}-journal",
                         db)}};
  if (error.code == errc::busy)
    return {{severity::warning, "integrity", db, "a process keeps it locked, so it could not be looked into",
             "see foreign_openers, and fuser"}};
  if (error.code == errc::corrupt)
    return {{severity::problem, "integrity", db, "it is damaged: " + error.message, restore}};
  return {{severity::problem, "integrity", db, "it cannot be opened: " + error.message,
           error.code == errc::disk_full ? "make room" : "see permissions; if those are good, check the disk"}};
}

findings judge_ledgers(const std::filesystem::path& root, const std::set<std::string>& skipped) {
  auto file = root / ".sluice/audit.db";
  caf::expected<std::vector<sqlite::ledger_problem>> found{caf::none};
  auto source = sqlite::ledgers_without_traces(root);
  sqlite::look_without_traces(file, [&](bool immutable) { found = sqlite::check_ledgers(file, source, immutable); });
  // `check_audit` reports an audit that cannot be read.
  if (!found)
    return {};
  findings result;
  for (const auto& each : *found)
    // For other databases, the inspection reports the defects.
    if (!each.in_itself && !skipped.contains(each.db))
      result.push_back(
        {severity::problem, "ledger", each.db, "compared with the audit: " + each.reason, repair_advice});
  return result;
}

findings judge_damaged_files(const std::filesystem::path& audit) {
  findings result;
  for (const auto& name : sqlite::find_damaged_files(audit))
    result.push_back({severity::warning, "audit", ".sluice/" + name,
                      "an audit file that was damaged, emptied or exchanged; its records, above all of reads and "
                      "refusals, are missing in the audit of today",
                      "keep a copy if you need the proof; sluice doctor ROOT --repair acknowledges it"});
  return result;
}

finding judge_sqlite() {
  auto text = "SQLite " + sqlite::version();
  if (!sqlite::has_wal_reset_bug())
    return {severity::ok, "sqlite_version", "store", text};
  return {severity::note, "sqlite_version", "store",
          text
            + " may lose commits when two connections write or checkpoint in the same instant (the WAL-reset bug, "
              "fixed in 3.51.3); with the broker there is one such connection only, so it is safe as long as no other "
              "program opens a database for writing",
          "nothing, unless foreign_openers names a process"};
}

finding check_audit(const std::filesystem::path& root) {
  const std::string subject = ".sluice/audit.db";
  auto file = root / subject;
  // Read before the audit: a broker that writes meanwhile only adds to the audit.
  file_registry registry{root / ".sluice/files.json"};
  caf::expected<std::string> missing{caf::none};
  auto source = sqlite::ledgers_without_traces(root);
  sqlite::look_without_traces(file, [&](bool immutable) {
    missing = sqlite::find_missing_records(file, registry, machine_time().boot_id(), source, immutable);
  });
  if (missing && !missing->empty())
    return {severity::problem, "audit", subject, *missing,
            "if you moved it, stop the broker and move it back; otherwise the next broker, or sluice doctor ROOT "
            "--repair, begins a new one and fills in what the ledgers know"};
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    return {severity::ok, "audit", subject, "there is no audit yet"};
  caf::expected<audit_verdict> verdict{caf::none};
  sqlite::look_without_traces(file, [&](bool immutable) { verdict = sqlite::verify_audit_file(file, immutable); });
  if (!verdict && code_of(verdict.error()) == errc::disk_full)
    return {severity::problem, "audit", subject, "it cannot be read: " + describe(verdict.error()).message,
            "make room"};
  if (!verdict)
    return {
      severity::problem, "audit", subject, "it cannot be read: " + describe(verdict.error()).message,
      "keep a copy if you need the proof; sluice doctor ROOT --repair begins a new one and fills in what the ledgers "
      "know"};
  if (!verdict->intact())
    return {severity::problem, "audit", subject,
            fmt::format("{} ({} of {} broken): another program changed it, or it is damaged", verdict->reason,
                        verdict->broken, counted(verdict->records, "record")),
            "compare with a backup; the other records are still good; sluice doctor ROOT --repair begins a new file"};
  return {severity::ok, "audit", subject, fmt::format("its chain ({}) is whole", counted(verdict->records, "record"))};
}

} // namespace sluice::doctor
