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

/// How the buffer treats one table.
struct buffered_table_rules {
  std::string db;
  std::string table;
  std::chrono::milliseconds interval{5'000};
  int64_t priority = 0;
};

/// Whether both name the same columns in the same order.
bool same_columns(const std::vector<named_value>& a, const std::vector<named_value>& b);

/// The rows of one database that wait to be written, in an order that comes to the same as that in which their
/// operations were put.
///
/// Each table has a lane of its own, except that tables which triggers or foreign keys connect share one, so that the
/// order across them is kept. Within a lane, a mergeable operation is merged into the row that waits for it, unless an
/// operation that is not mergeable, or that names its row by another key, was put in between. A row that was taken out
/// is never merged into.
///
/// Not synchronized.
class row_queue {
public:
  struct known_table {
    std::string name;
    std::chrono::milliseconds interval{0};
    int64_t priority = 0;
    /// Rows that wait, those taken out and not completed included.
    uint64_t pending = 0;
    /// Since when the oldest of them has waited.
    clock::steady oldest{};
  };

  /// Which rows to take out.
  struct demand {
    clock::steady now;
    /// Also those that are not due.
    bool everything = false;
    size_t max_rows = 100;
    size_t max_bytes = 4U << 20U;
  };

  /// Whether the operation would need no row of its own.
  bool would_merge(const checked_operation& operation) const;

  /// @param number counts the operations of all databases
  /// @param rules how the table is treated, should it be new
  /// @returns whether it was merged
  bool add(checked_operation operation, uint64_t number, clock::steady now, const buffered_table_rules& rules);

  /// Takes rows out: their operations in the order in which they are to be executed, tables of higher priority first,
  /// then those that have waited longer. Empty when nothing is due. The rows count as pending until `complete`.
  std::vector<outgoing_operation> take(const demand& wanted);

  /// The operation has been written or rejected, and its row with it if it is the row's last.
  /// @pre it was taken out, or counted with `count_under_way`
  void complete(const outgoing_operation& operation);

  /// Counts the row of an operation as taken out, because a journal remembers it as such.
  void count_under_way(const outgoing_operation& operation, const buffered_table_rules& rules);

  /// Everything up to the operation `number` is due from now on. An empty table means all of them.
  void want(const std::string& table, uint64_t number);

  /// When the next row is due; `max` when none waits here.
  clock::steady next_due() const;

  /// Rows that wait, those taken out and not completed included.
  uint64_t pending() const noexcept { return pending_; }

  /// Rows that wait here, and the bytes that they account for.
  uint64_t size() const noexcept;
  size_t footprint() const noexcept;

  /// Of these, the rows of the operations up to `number`; an empty table means all of them.
  uint64_t count(const std::string& table, uint64_t number) const;

  /// Calls `visit` for each row that waits here; those of one table in order.
  template <class Visit> void for_each_row(Visit visit) const {
    for (const auto& [name, queued] : lanes_)
      for (const auto& row : queued.rows)
        visit(row);
  }

  /// By folded name.
  const std::map<std::string, known_table>& tables() const noexcept { return tables_; }

  /// A table's name as its operations have it here.
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
    // How many have been taken out, so that places in `open` stay as they are.
    size_t taken = 0;
    // The places of the rows behind the last one that nothing passes, by key.
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
