#pragma once

#include "actors/base/duration_histogram.hpp"
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
  /// Of its `-wal` file; 0 when there is none.
  uint64_t wal_bytes = 0;
};

/// Where the time of a database's writes went, since the broker started.
struct database_timings {
  std::string db;
  duration_histogram::snapshot queue;
  duration_histogram::snapshot execution;
  duration_histogram::snapshot commit;
};

/// What answers under way and open cursors take of what they may.
struct answer_status {
  /// Of the rows of all answers, those that the cache keeps included.
  uint64_t bytes = 0;
  uint64_t max_bytes = 0;
  uint64_t cursors = 0;
  uint64_t max_cursors = 0;
};

/// How a store stands: its broker, and the files in its folder.
struct store_status {
  broker_status broker;
  answer_status answers;
  /// Of the databases that have been opened.
  std::vector<database_timings> timings;
  std::vector<database_file> files;
  /// The process that leads the store.
  pid_t leader_pid = 0;
  /// The leader is the process that asks, and leads only while it does.
  bool in_process = false;
};

/// The SQLite files directly in `root`, by name: those that end in `.db`, `.sqlite` or `.sqlite3` and begin as SQLite
/// files do (or are still empty). What cannot be read is left out.
std::vector<database_file> find_database_files(const std::filesystem::path& root);

/// Size of the file `name` in `root` and of its WAL.
database_file measure_database_file(const std::filesystem::path& root, const std::string& name);

/// Where the time of the writes to each database went. Cheap.
std::vector<database_timings> gather_timings(const broker& leader);

/// How the store that `leader` leads stands. Looks at files, so it may block.
store_status gather_status(const broker& leader, std::vector<running_request> reads);

/// The whole of it, as docs/reference/protocol.md describes it under `status`.
nlohmann::json as_json(const store_status& x);

} // namespace sluice
