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

/// Operations that are written in one request, or when the database refuses that, in ever smaller ones until the
/// operation that the database refuses stands alone. They are executed in their order, each once: as long as the fate
/// of a request is not known, the same request is sent again.
class flush_batch {
public:
  explicit flush_batch(std::vector<outgoing_operation> operations);

  /// One that a journal remembers: it is sent as it was. @param operations what it was made of
  flush_batch(journal_batch sent, std::vector<outgoing_operation> operations);

  bool finished() const noexcept { return ends_.empty(); }

  /// The request to send now, made under `key` unless there is one whose fate is not known. @pre not finished
  const journal_batch& request(const std::string& db, const std::string& key);

  /// Whether the request has been in the journal before.
  bool journaled() const noexcept { return journaled_; }
  void now_journaled() noexcept { journaled_ = true; }

  /// What the request is made of. @pre not finished
  std::span<outgoing_operation> window() noexcept;

  /// The operations without an outcome yet, in order.
  std::span<const outgoing_operation> rest() const noexcept;

  /// The request is written, or it is a single operation that was rejected. @pre not finished
  void complete();

  /// The request was refused and had no effect; the next one is half of it. @pre the window holds several
  void halve();

private:
  size_t end() const noexcept { return ends_.back(); }

  std::vector<outgoing_operation> operations_;
  size_t done_ = 0;
  // Where the windows end; each lies in the one before.
  std::vector<size_t> ends_;
  journal_batch current_;
  bool journaled_ = false;
};

} // namespace sluice
