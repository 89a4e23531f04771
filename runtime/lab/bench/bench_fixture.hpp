#pragma once

#include "runtime/broker/broker.hpp"
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

/// Takes the value out, or ends the benchmark with what went wrong.
template <class T> T must(caf::expected<T> result) {
  if (!result)
    throw std::runtime_error{describe(result.error()).message};
  return std::move(*result);
}

inline void must(caf::expected<void> result) {
  if (!result)
    throw std::runtime_error{describe(result.error()).message};
}

/// A fresh folder below `where`, removed at the end.
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

/// Fills the table with `rows_to_read` rows.
void fill(sqlite::connection& db);

/// Binds one row and inserts it.
bool insert_raw(sqlite::prepared_statement& insert, int64_t agent);

/// A broker on `root`, with defaults.
broker open_broker(const std::filesystem::path& root);

/// One request that inserts a row.
write_request insert_request(const std::string& agent, int64_t number);

/// Runs `agents` CAF actors, each of which calls `next(self, own, done)` again and again until the time is over.
measurement run_actors(std::string contender, caf::actor_system& system, size_t agents,
                       std::chrono::milliseconds duration,
                       const std::function<void(caf::event_based_actor*, size_t, std::function<void(bool)>)>& next);

} // namespace sluice::bench
