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

/// Records the tables that a connection changes, row by row: by triggers, cascades, in tables WITHOUT ROWID, and by
/// deleting all rows; not the ledger's own tables. Equal sets are shared, so that a steady load allocates nothing.
///
/// Installs the connection's preupdate hook and removes it when it ends. The hook is never called for a virtual table's
/// own name, and for its shadow tables only when it flushes; `touch` is for those.
class write_tracker {
public:
  /// `db` outlives this.
  explicit write_tracker(const connection& db);
  ~write_tracker();
  write_tracker(const write_tracker&) = delete;
  write_tracker& operator=(const write_tracker&) = delete;

  /// Forgets the recorded tables.
  void start() noexcept;

  /// From now on also collects the tables touched since this call.
  void watch();

  /// The tables touched since `watch`, which ends with this.
  std::vector<std::string> watched();

  void touch(std::string_view table);

  /// The tables recorded since `start`; null when there are none.
  table_set touched();

private:
  using ids = std::vector<uint32_t>;

  // SQLite's C interface requires this signature.
  static void on_change(void* self, sqlite3*, int, const char*, const char* table, long long, long long) noexcept;

  const connection& db_;
  std::string last_name_;
  bool last_noted_ = false;
  ids noted_;
  // The tables recorded before `watch`.
  ids noted_before_;
  std::unordered_map<std::string, uint32_t> id_by_name_;
  std::vector<std::string> names_;
  std::map<ids, table_set> sets_;
  ids last_set_;
  table_set last_tables_;
};

} // namespace sluice::sqlite
