#pragma once

#include "actors/buffer/buffer_store.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace sluice {

/// The buffer's file with retries: batches that the file could not forget are forgotten later, and rejected rows that
/// it could not store are kept in memory until it can.
class retrying_buffer_store {
public:
  explicit retrying_buffer_store(std::unique_ptr<buffer_store> store);

  caf::expected<journal_content> recover() { return store_->recover(); }
  caf::expected<uint64_t> append(std::span<const buffer_put> operations) { return store_->append(operations); }

  /// Notes that a batch is about to be sent; fails as long as the one before cannot be forgotten.
  caf::expected<void> begin(const journal_batch& batch);
  /// The batch is done.
  void end(const std::string& key);
  /// The batch had no effect; its operations are going to be in others.
  void abandon(const std::string& key);

  /// Keeps rows, at least in memory.
  void reject(std::vector<rejected_row> rows);

  /// Rows that are in memory alone.
  uint64_t unstored() const noexcept { return unstored_.size(); }

  caf::expected<rejected_page> list(const rejected_query& query);

  /// Takes rows out; an empty list means all.
  caf::expected<std::vector<rejected_row>> take(const std::vector<uint64_t>& ids);

  /// Moves rejected rows to the journal, all or none. Answers with the place of the first.
  /// @pre `ids` are what `list` has just said
  caf::expected<uint64_t> requeue(const std::vector<uint64_t>& ids, std::span<const buffer_put> operations);

  uint64_t count() const noexcept { return stored_ + unstored_.size(); }

  /// Tries again what the file has refused.
  caf::error catch_up();

  /// Why the file refused something last; empty when nothing waits for it.
  const std::string& trouble() const noexcept { return trouble_; }

private:
  void recount();

  std::unique_ptr<buffer_store> store_;
  // Batches to be forgotten, in order; true for those that are done.
  std::vector<std::pair<std::string, bool>> to_forget_;
  // By an id that the file is not going to give.
  std::map<uint64_t, rejected_row> unstored_;
  uint64_t next_id_;
  uint64_t stored_ = 0;
  std::string trouble_;
};

} // namespace sluice
