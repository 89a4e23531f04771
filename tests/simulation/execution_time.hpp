#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

struct sqlite3;
struct sqlite3_api_routines;
struct sqlite3_context;
struct sqlite3_value;

namespace sluice::simulation {

/// A client's requests of one kind to one database, which wait for the same writer or the same readers.
struct lane {
  uint64_t client = 0;
  uint32_t db = 0;
  bool writes = false;

  /// The lane as a parameter of a statement.
  int64_t number() const noexcept { return static_cast<int64_t>(client * 4 + db * 2 + (writes ? 1 : 0)); }
};

/// Gives statements an execution time on the simulated clock: every connection of the process knows the SQL function
/// `simulated_work(lane, milliseconds)`, which takes that long and returns NULL. One at a time in a process.
class execution_time {
public:
  using milliseconds = std::chrono::milliseconds;

  /// The time of one call. A statement calls the function once per row, and SQLite can interrupt it in between.
  static constexpr milliseconds step{5};

  using spender = std::function<bool(milliseconds)>;

  /// @param spend lets time pass; false when a statement takes no time now
  explicit execution_time(spender spend);
  ~execution_time();
  execution_time(const execution_time&) = delete;
  execution_time& operator=(const execution_time&) = delete;

  /// The execution time of the statements of a lane so far, including rolled-back ones.
  milliseconds spent(const lane& lane) const;

private:
  static int extend(sqlite3* db, char** error, const sqlite3_api_routines* api);
  static void work(sqlite3_context* context, int count, sqlite3_value** values);

  spender spend_;
  std::map<int64_t, milliseconds> spent_;
};

} // namespace sluice::simulation
