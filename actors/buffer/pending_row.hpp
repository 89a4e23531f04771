#pragma once

#include "actors/base/clock.hpp"
#include "actors/buffer/row_rules.hpp"
#include "messages/buffer.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// The number of operations of one agent that were merged.
struct contribution {
  std::string agent;
  peer_identity peer;
  uint64_t count = 1;
};

void add(std::vector<contribution>& to, const contribution& other);

/// One operation on its way to the database, and the operations merged into it.
struct outgoing_operation {
  buffer_put put;
  std::vector<contribution> from;
  /// The places in the journal of the operations that were merged into it.
  std::vector<uint64_t> journal;
  /// The number of the first operation merged into its row.
  uint64_t number = 0;
  clock::steady since{};
  /// Whether its row is completely written when this operation is.
  bool ends_row = true;
  bool is_mergeable = false;
  bool keeps_order = false;
};

/// The known content of a row while pending operations are applied to it.
struct row_image {
  struct cell {
    value content;
    /// Whether the row is not in the database yet.
    bool pending = false;
  };

  bool found = false;
  std::map<std::string, cell> columns;

  void apply(const buffer_put& operation);
};

/// The pending operations of one row, merged into equivalent ones: at most a delete, or an update of a row that may not
/// exist, and after it at most an upsert.
class pending_row {
public:
  using columns = std::vector<named_value>;

  /// @param number counts operations as they are taken
  pending_row(checked_operation first, uint64_t number, clock::steady since);

  /// Merges the next operation on this row. @pre both are mergeable
  void merge(checked_operation next);

  const row_key& key() const noexcept { return key_; }
  bool is_mergeable() const noexcept { return is_mergeable_; }
  bool needs_own_batch() const noexcept { return needs_own_batch_; }
  bool keeps_order() const noexcept { return keeps_order_; }
  uint64_t number() const noexcept { return number_; }
  clock::steady since() const noexcept { return since_; }
  uint64_t operations() const noexcept { return operations_; }

  /// Bytes that it counts for in bounds.
  size_t footprint() const noexcept { return bytes_; }

  /// In the order in which they must be executed.
  std::vector<outgoing_operation> take();
  void apply(row_image& to) const;

private:
  void absorb(buffer_operation kind, columns values);
  std::vector<buffer_put> puts() const;
  void weigh();

  row_key key_;
  bool erased_ = false;
  columns updated_;
  std::optional<columns> upserted_;
  std::vector<contribution> from_;
  std::vector<uint64_t> journal_;
  uint64_t number_;
  uint64_t operations_ = 1;
  clock::steady since_;
  size_t bytes_ = 0;
  bool is_mergeable_;
  bool needs_own_batch_;
  bool keeps_order_;
};

/// Bytes that an operation counts for in bounds.
size_t footprint(const buffer_put& operation) noexcept;

} // namespace sluice
