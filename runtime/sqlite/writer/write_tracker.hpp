#pragma once

#include "messages/invalidation.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice::sqlite {

/// Notes which tables a connection really writes, row by row: triggers, cascades, tables WITHOUT ROWID and deleting
/// everything included; the ledger's own tables are left out. Sets that repeat are shared, so that a steady load
/// allocates nothing.
///
/// Installs the connection's preupdate hook and removes it when it ends. A virtual table's own name never reaches that
/// hook, and its shadow tables only when it flushes; `touch` is for those.
class write_tracker {
public:
  /// `db` outlives this.
  explicit write_tracker(const connection& db);
  ~write_tracker();
  write_tracker(const write_tracker&) = delete;
  write_tracker& operator=(const write_tracker&) = delete;

  /// Forgets what was noted.
  void start() noexcept;

  /// From now on, also records the tables touched since this call.
  void watch();

  /// The tables touched since `watch`, which ends with this.
  std::vector<std::string> watched();

  void touch(std::string_view table);

  /// The tables noted since `start`; null when there are none.
  table_set touched();

private:
  using ids = std::vector<uint32_t>;

  // SQLite's C interface fixes this signature.
  static void on_change(void* self, sqlite3*, int, const char*, const char* table, long long, long long) noexcept;

  const connection& db_;
  std::string last_name_;
  bool last_noted_ = false;
  ids noted_;
  // The tables noted before `watch`.
  ids noted_before_;
  std::unordered_map<std::string, uint32_t> id_by_name_;
  std::vector<std::string> names_;
  std::map<ids, table_set> sets_;
  ids last_set_;
  table_set last_tables_;
};

} // namespace sluice::sqlite
