#pragma once

#include "actors/buffer/row_queue.hpp"
#include "messages/buffer.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace sluice {

/// How the buffer treats one table.
struct buffered_table_rules {
  std::string db;
  std::string table;
  std::chrono::milliseconds interval{5'000};
  int64_t priority = 0;
};

/// What waits to be written to one database. Each table has a queue of its own, but for those that triggers or foreign
/// keys tie together: they share one, so that the order across them is kept.
class buffered_database {
public:
  struct known_table {
    std::string name;
    std::chrono::milliseconds interval{0};
    int64_t priority = 0;
    /// Rows that wait, those under way included.
    uint64_t pending = 0;
    /// Since when the oldest of them has.
    clock::steady oldest{};
  };

  /// What to take out of the queues.
  struct demand {
    clock::steady now;
    /// Not only what is due.
    bool everything = false;
    size_t max_operations = 100;
    size_t max_bytes = 4U << 20U;
  };

  bool would_merge(const checked_operation& x) const;

  /// @param rules how its table is treated, should it be new
  /// @returns whether it was merged
  bool add(checked_operation x, uint64_t number, clock::steady now, const buffered_table_rules& rules);

  /// Operations in the order in which they are to be executed: tables of higher priority first, then those that have
  /// waited longer. Empty when nothing is due. They count as pending until `settle`.
  std::vector<outgoing_operation> take(const demand& what);

  /// The row that the operation belongs to is written, or set aside.
  void complete(const outgoing_operation& x);

  /// Counts rows that are under way from the start, because a journal remembers them.
  void count_under_way(const outgoing_operation& x, const buffered_table_rules& rules);

  /// Everything up to the operation `number` is due from now on. An empty table means all of them.
  void want(const std::string& table, uint64_t number);

  /// When the next row is due; `max` when none waits in a queue.
  clock::steady next_due() const;

  uint64_t pending() const noexcept { return pending_; }
  uint64_t queued() const noexcept;
  size_t footprint() const noexcept;

  /// Rows that wait in a queue for the operations up to `number`.
  uint64_t queued(const std::string& table, uint64_t number) const;

  /// Calls `visit` for each row that waits in a queue; those of one table in order.
  template <class F> void for_each_row(F visit) const {
    for (const auto& [key, lane] : lanes_)
      for (const auto& row : lane.rows.rows())
        visit(row);
  }

  const std::map<std::string, known_table>& tables() const noexcept { return tables_; }

  /// A table's name as its operations have it here.
  std::string spelling_of(const std::string& name) const;

private:
  struct queue {
    row_queue rows;
    std::chrono::milliseconds interval = std::chrono::milliseconds::max();
    int64_t priority = std::numeric_limits<int64_t>::min();
    uint64_t wanted = 0;

    bool due(const demand& x) const;
    const pending_row* first_of(const std::string& table) const;
  };

  known_table& known(const std::string& name, const buffered_table_rules& rules);
  std::string lane_of(const std::string& table, bool keeps_order) const;

  std::map<std::string, queue> lanes_;
  // By folded name.
  std::map<std::string, known_table> tables_;
  uint64_t pending_ = 0;
};

} // namespace sluice
