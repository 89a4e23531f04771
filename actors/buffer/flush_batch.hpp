#pragma once

#include "actors/buffer/buffer_store.hpp"
#include "actors/buffer/pending_row.hpp"
#include "messages/write.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sluice {

/// Operations that are written in one request or, when the database refuses that, in smaller and smaller ones until the
/// refused operation stands alone. They are executed in order, each once: as long as the outcome of a request is
/// unknown, the same request is sent again.
class flush_batch {
public:
  explicit flush_batch(std::vector<outgoing_operation> operations);

  /// A batch from the journal, which is sent unchanged. @param operations its operations
  flush_batch(journal_batch sent, std::vector<outgoing_operation> operations);

  bool finished() const noexcept { return ends_.empty(); }

  /// The request to send now; generated under `key` unless an earlier one has an unknown outcome. @pre not finished
  const journal_batch& request(const std::string& db, const std::string& key);

  /// Whether the request is in the journal.
  bool journaled() const noexcept { return journaled_; }
  void now_journaled() noexcept { journaled_ = true; }

  /// The operations in the request. @pre not finished
  std::span<outgoing_operation> window() noexcept;

  /// The operations without an outcome yet, in order.
  std::span<const outgoing_operation> rest() const noexcept;

  /// The request was written, or its single operation was rejected. @pre not finished
  void complete();

  /// The request was refused without effect; the next one is half of it. @pre the window holds several
  void halve();

private:
  size_t end() const noexcept { return ends_.back(); }

  std::vector<outgoing_operation> operations_;
  size_t done_ = 0;
  // The ends of the windows; each lies in the one before.
  std::vector<size_t> ends_;
  journal_batch current_;
  bool journaled_ = false;
};

} // namespace sluice
