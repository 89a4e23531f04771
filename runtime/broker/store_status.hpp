#pragma once

#include "actors/base/duration_histogram.hpp"
#include "messages/fields.hpp"
#include "runtime/broker/broker.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice {

/// A database file as the file system shows it.
struct database_file {
  /// Relative to the root.
  std::string name;
  uint64_t bytes = 0;
  /// The bytes of its `-wal` file; 0 when there is none.
  uint64_t wal_bytes = 0;
};

/// Added in the status to the fields of `database_status`.
template <>
inline constexpr auto fields_of<database_file> =
  list_fields("database_file", named_field{"name", &database_file::name},
              named_field{"file_bytes", &database_file::bytes,
                          as_gauge("sluice_database_file_bytes", "Size of the database file.")},
              named_field{"wal_file_bytes", &database_file::wal_bytes,
                          as_gauge("sluice_database_wal_file_bytes", "Size of the write-ahead log's file.")});

/// The times of the parts of a database's writes, since the broker started.
struct database_timings {
  std::string db;
  duration_histogram::snapshot queue;
  duration_histogram::snapshot execution;
  duration_histogram::snapshot commit;
};

/// The memory that answers use, and its limit.
struct answer_status {
  /// The rows of all answers, including those that the cache keeps.
  uint64_t bytes = 0;
  uint64_t max_bytes = 0;
};

template <>
inline constexpr auto fields_of<answer_status> = list_fields(
  "answer_status",
  named_field{"bytes", &answer_status::bytes,
              as_gauge("sluice_answer_bytes", "Size of the rows of all answers under way and in the read cache.")},
  named_field{"max_bytes", &answer_status::max_bytes,
              as_gauge("sluice_answer_max_bytes", "Size at which further answers are refused.")});

/// The number of open cursors, and its limit.
struct cursor_status {
  uint64_t open = 0;
  uint64_t max = 0;
};

template <>
inline constexpr auto fields_of<cursor_status> = list_fields(
  "cursor_status", named_field{"open", &cursor_status::open, as_gauge("sluice_open_cursors", "Cursors that are open.")},
  named_field{"max", &cursor_status::max, as_gauge("sluice_max_open_cursors", "Cursors that may be open.")});

/// The policy in force.
struct policy_status {
  /// False without a policy: the owner may do everything.
  bool in_force = false;
  uint64_t rules = 0;
  std::string hash{};
  std::vector<std::string> raw_sql{};
  /// Why a change of the file is not in force; empty if there is none.
  std::string mistake{};
};

/// The status of a store: its broker, and the files in its folder.
struct store_status {
  broker_status broker;
  answer_status answers;
  cursor_status cursors;
  /// Of the databases that have been opened.
  std::vector<database_timings> timings;
  std::vector<database_file> files;
  policy_status policy;
  /// The process that leads the store.
  pid_t leader_pid = 0;
  /// The leader is the querying process itself, and leads only while it runs.
  bool in_process = false;
};

/// The SQLite files directly in `root`, by name: those that end in `.db`, `.sqlite` or `.sqlite3` and begin as SQLite
/// files do (or are still empty). Unreadable files are left out.
std::vector<database_file> find_database_files(const std::filesystem::path& root);

/// The size of the file `name` in `root` and of its WAL.
database_file measure_database_file(const std::filesystem::path& root, const std::string& name);

/// The times of the parts of the writes, for each database. Cheap.
std::vector<database_timings> gather_timings(const broker& leader);

/// The sentence about a policy for people: that there is none and what this means, or what it has.
std::string policy_text(const policy_status& policy);

/// What there is to say about a policy itself.
policy_status policy_status_of(const access_policy& policy);

/// That of `leader`.
policy_status gather_policy(const broker& leader);

/// The status of the store that `leader` leads. Reads the file system, so it may block.
store_status gather_status(const broker& leader, std::vector<running_request> reads);

/// The complete status, as docs/reference/protocol.md describes it under `status`.
nlohmann::json as_json(const store_status& status);

} // namespace sluice
