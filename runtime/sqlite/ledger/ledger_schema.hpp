#pragma once

#include "messages/error.hpp"
#include "messages/migration.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sqlite {

/// The format that the broker writes. It also reads a ledger of format 1, which becomes one of format 2 with its next
/// commit: its rows stay; new commit records contain automatic keys and omit the hash of the record before.
constexpr int64_t ledger_format = 2;
constexpr int64_t oldest_ledger_format = 1;

struct table_definition {
  std::string_view name;
  std::string_view sql;
};

inline constexpr std::array ledger_tables{
  table_definition{"_sluice_commits",
                   "CREATE TABLE _sluice_commits(commit_seq INTEGER PRIMARY KEY, ts_us INTEGER NOT NULL, "
                   "prev_hash BLOB NOT NULL, hash BLOB NOT NULL, requests BLOB NOT NULL)"},
  table_definition{"_sluice_keys",
                   // The primary key is a number, so that rows are appended, and the oldest ones are together.
                   "CREATE TABLE _sluice_keys(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, payload BLOB NOT NULL, "
                   "commit_seq INTEGER NOT NULL, created_us INTEGER NOT NULL, outcome BLOB NOT NULL)"},
  table_definition{"_sluice_meta", "CREATE TABLE _sluice_meta(name TEXT PRIMARY KEY, value)"},
};

/// Made with the first migration of a database; most have no such table.
inline constexpr table_definition migrations_definition{
  migrations_table, "CREATE TABLE _sluice_migrations(number INTEGER PRIMARY KEY, name TEXT NOT NULL, "
                    "hash TEXT NOT NULL, applied_us INTEGER NOT NULL, agent TEXT NOT NULL, "
                    "commit_seq INTEGER NOT NULL)"};

/// Whether `name` belongs to the ledger, in any letter case: `_sluice` (because of its possible shadow tables) and
/// `_sluice_*`.
bool is_ledger_name(std::string_view name) noexcept;

/// Whether SQL text, in lower case, contains such a name as a word.
bool mentions_ledger_name(std::string_view folded_sql) noexcept;

/// An object of the schema on a table of the ledger, or with one of its names, that the ledger did not create.
struct unknown_object {
  /// `table`, `index`, `trigger` or `view`.
  std::string type;
  std::string name;
  /// The table that it is on; its own name for a table or a view.
  std::string table;
  std::string sql;
};

/// The objects of the schema with names of the ledger.
struct ledger_objects {
  /// Which of `ledger_tables` exist with their definition.
  std::array<bool, ledger_tables.size()> present{};
  /// Whether there is a table of migrations, with its definition.
  bool has_migrations = false;
  std::vector<unknown_object> unknown;

  bool none() const noexcept;
  bool complete() const noexcept;
};

caf::expected<ledger_objects> find_ledger_objects(const connection& db);

/// The triggers on other tables whose text contains a name of the ledger as a word, as "trigger t on users". The broker
/// refuses statements that fire such a trigger if it writes to the ledger; another program's statement would change the
/// ledger.
caf::expected<std::vector<std::string>> find_triggers_into_ledger(const connection& db);

/// `errc::ledger_damaged`: `why`, and the command that repairs it.
caf::error ledger_damaged(std::string why);

/// Whether the database has a ledger. `errc::protocol_mismatch` when it is of another format; `ledger_damaged`, naming
/// the object, when tables are missing or have another definition, or when any other object is on them or has their
/// names.
caf::expected<bool> has_ledger(const connection& db);

} // namespace sluice::sqlite
