#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/lab/bench/bench_case.hpp"
#include "runtime/lab/bench/measurement.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

namespace sluice::bench {

/// The database of every case.
inline constexpr const char* items_file = "items.db";

/// The table that every case uses, and rows of about 100 bytes for it.
inline constexpr const char* create_table =
  "CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, agent INTEGER NOT NULL, body TEXT NOT NULL)";
inline constexpr const char* insert_row = "INSERT INTO items (agent, body) VALUES (?, ?)";
inline constexpr const char* select_row = "SELECT body FROM items WHERE id = ?";
inline const std::string row_body(90, 'x');
inline constexpr int64_t rows_to_read = 10'000;

/// Returns the value; on an error ends the benchmark with an exception that has its message.
template <class T> T must(caf::expected<T> result) {
  if (!result)
    throw std::runtime_error{describe(result.error()).message};
  return std::move(*result);
}

inline void must(caf::expected<void> result) {
  if (!result)
    throw std::runtime_error{describe(result.error()).message};
}

/// An empty folder below `where`; the destructor removes it.
class scratch_folder {
public:
  explicit scratch_folder(const std::filesystem::path& where);
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder();

  const std::filesystem::path& path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
};

/// A database with the table, used without a broker.
sqlite::connection open_raw(const std::filesystem::path& file, std::chrono::milliseconds busy_timeout);

/// Makes the table in `file`, with `rows_to_read` rows.
void fill_file(const std::filesystem::path& file);

/// Binds one row and inserts it.
bool insert_raw(sqlite::prepared_statement& insert, int64_t agent);

/// Raises the limit of open files of this process as far as it may be.
void raise_descriptor_limit();

/// Waits until all of a file is on the disk, so that later syncs do not wait for it.
void sync_file(const std::filesystem::path& file);

/// A broker on `root`, with defaults.
broker open_broker(const std::filesystem::path& root, synchronous_mode mode = synchronous_mode::full);

/// Steps through the ids of `rows` rows in a fixed order that repeats only after all of them. Consecutive ids are far
/// apart in the file.
/// @pre rows is no multiple of 7,919
class row_walk {
public:
  explicit row_walk(int64_t start, int64_t rows = rows_to_read) : rows_(rows), at_(start % rows) {}

  int64_t next() {
    at_ = (at_ + 7'919) % rows_;
    return at_ + 1;
  }

private:
  int64_t rows_;
  int64_t at_;
};

/// One point read; `select` was prepared from `select_row`.
bool read_raw(sqlite::prepared_statement& select, int64_t id);

/// One request that reads a row.
read_request select_request(const std::string& agent, int64_t id);

/// One request that inserts a row.
write_request insert_request(const std::string& agent, int64_t number);

/// Runs `agents` CAF actors, each of which calls `next(self, i, done)` again and again until the time is over, at least
/// once, with `in_flight` calls at a time.
measurement run_actors(caf::actor_system& system, size_t agents, size_t in_flight, std::chrono::milliseconds duration,
                       const std::function<void(caf::event_based_actor*, size_t, std::function<void(bool)>)>& next);

/// Runs actors as `run_actors` does; each writes one row after the other.
measurement write_by_actors(broker& host, const database& db, size_t agents, size_t in_flight,
                            std::chrono::milliseconds duration);

/// One operation of a contender, with the objects that it uses; false for an error.
using bench_operation = std::function<bool()>;

/// One thread that calls an operation again and again, each call timed; the operation is made once, in the folder of
/// the contender.
contender one_thread(std::string name, contender_kind kind,
                     std::function<bench_operation(const std::filesystem::path& folder)> open);

/// Requests and commits of a database since it was opened, for rows per commit.
struct commit_counts {
  uint64_t commits = 0;
  uint64_t requests = 0;
};

commit_counts counts_of(const database& db);
double rows_per_commit(const commit_counts& before, const commit_counts& after);

} // namespace sluice::bench
