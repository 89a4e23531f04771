#pragma once

#include "actors/buffer/pending_row.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <unordered_map>
#include <vector>

namespace sluice {

/// Whether both name the same columns in the same order.
bool same_columns(const std::vector<named_value>& a, const std::vector<named_value>& b);

/// Rows that wait to be written, in an order that comes to the same as that in which their operations were put.
///
/// A free operation is merged into the row that waits for it, unless something that is not free, or that names its row
/// by another key, was put in between: nothing passes that. What has been taken out is never merged into.
class row_queue {
public:
  /// Whether it is going to need no room of its own.
  bool would_merge(const checked_operation& x) const;

  /// @param number counts operations as they are taken
  /// @returns whether it was merged
  bool add(checked_operation x, uint64_t number, clock::steady now);

  bool empty() const noexcept { return rows_.empty(); }
  size_t size() const noexcept { return rows_.size(); }
  size_t footprint() const noexcept { return bytes_; }

  /// The row that has waited longest. @pre not empty
  const pending_row& front() const { return rows_.front(); }
  pending_row pop();

  const std::deque<pending_row>& rows() const noexcept { return rows_; }

  /// Whether something that is not free waits.
  bool has_fixed() const noexcept { return fixed_ > 0; }

private:
  struct hash {
    size_t operator()(const std::vector<named_value>& key) const noexcept;
  };

  pending_row* find(const checked_operation& x);

  std::deque<pending_row> rows_;
  // How many have been taken out, so that places in `open_` stay as they are.
  size_t taken_ = 0;
  // The rows behind the last one that nothing passes, by key.
  std::unordered_map<std::vector<named_value>, size_t, hash> open_;
  size_t bytes_ = 0;
  size_t fixed_ = 0;
};

} // namespace sluice
