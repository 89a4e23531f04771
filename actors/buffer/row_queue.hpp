#pragma once

#include "actors/buffer/pending_row.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice {

/// The buffer's settings for one table.
struct buffered_table_rules {
  std::string db;
  std::string table;
  std::chrono::milliseconds interval{5'000};
  int64_t priority = 0;
};

/// Whether both name the same columns in the same order.
bool same_columns(const std::vector<named_value>& a, const std::vector<named_value>& b);

/// The pending rows of one database, in an order that is equivalent to the order of their operations.
///
/// Each table has a lane of its own, but tables that triggers or foreign keys connect share one, so that the order
/// across them is kept. Within a lane, a mergeable operation is merged into the row that waits for it, unless an
/// operation in between is not mergeable or names the row by another key. Nothing is merged into a row that was taken
/// out.
///
/// Not synchronized.
class row_queue {
public:
  struct known_table {
    std::string name;
    std::chrono::milliseconds interval{0};
    int64_t priority = 0;
    /// Waiting rows, and rows taken out and not completed.
    uint64_t pending = 0;
    /// Since when the oldest of them has waited.
    clock::steady oldest{};
  };

  /// The rows to take out.
  struct demand {
    clock::steady now;
    /// Also rows that are not due.
    bool everything = false;
    size_t max_rows = 100;
    size_t max_bytes = 4U << 20U;
  };

  /// Whether the operation would be merged into a waiting row.
  bool would_merge(const checked_operation& operation) const;

  /// @param number counts the operations of all databases
  /// @param rules the settings of the table, if it is new
  /// @returns whether it was merged
  bool add(checked_operation operation, uint64_t number, clock::steady now, const buffered_table_rules& rules);

  /// Takes rows out: their operations in the order in which they must be executed, tables of higher priority first,
  /// then rows that have waited longer. Empty when nothing is due. The rows count as pending until `complete`.
  std::vector<outgoing_operation> take(const demand& wanted);

  /// The operation has been written or rejected, and its row with it if it is the row's last.
  /// @pre it was taken out, or counted with `count_under_way`
  void complete(const outgoing_operation& operation);

  /// Counts the row of an operation from the journal as taken out.
  void count_under_way(const outgoing_operation& operation, const buffered_table_rules& rules);

  /// Everything up to the operation `number` is due from now on. An empty table means all of them.
  void want(const std::string& table, uint64_t number);

  /// When the next row is due; `max` when none waits here.
  clock::steady next_due() const;

  /// Waiting rows, and rows taken out and not completed.
  uint64_t pending() const noexcept { return pending_; }

  /// The number of waiting rows, and the bytes that they count for.
  uint64_t size() const noexcept;
  size_t footprint() const noexcept;

  /// The number of waiting rows with operations up to `number`; an empty table means all of them.
  uint64_t count(const std::string& table, uint64_t number) const;

  /// Calls `visit` for each waiting row; those of one table in order.
  template <class Visit> void for_each_row(Visit visit) const {
    for (const auto& [name, queued] : lanes_)
      for (const auto& row : queued.rows)
        visit(row);
  }

  /// By folded name.
  const std::map<std::string, known_table>& tables() const noexcept { return tables_; }

  /// A table's name as it is spelled in the queued operations.
  std::string spelling_of(const std::string& table) const;

private:
  struct key_hash {
    size_t operator()(const std::vector<named_value>& key) const noexcept;
  };

  struct lane {
    std::optional<size_t> place_to_merge(const checked_operation& operation) const;
    bool add(checked_operation operation, uint64_t number, clock::steady now);
    pending_row pop();
    bool is_due(const demand& wanted) const;
    const pending_row* first_of(const std::string& table) const;

    std::deque<pending_row> rows;
    // The number of rows taken out, so that indexes in `open` stay valid.
    size_t taken = 0;
    // By key, the indexes of the rows after the last one that no operation may overtake.
    std::unordered_map<std::vector<named_value>, size_t, key_hash> open;
    size_t bytes = 0;
    // The shortest interval and the highest priority of its tables.
    std::chrono::milliseconds interval = std::chrono::milliseconds::max();
    int64_t priority = std::numeric_limits<int64_t>::min();
    // Rows up to this operation are due.
    uint64_t wanted_number = 0;
  };

  known_table& known(const std::string& table, const buffered_table_rules& rules);
  std::string lane_of(const std::string& table, bool keeps_order) const;
  std::vector<lane*> due_lanes(const demand& wanted);

  std::map<std::string, lane> lanes_;
  std::map<std::string, known_table> tables_;
  uint64_t pending_ = 0;
};

} // namespace sluice
