#pragma once

#include "actors/buffer/buffer_store.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace sluice {

/// The buffer's file with retries: removes batches later if the file refuses it now, and keeps rejected rows in memory
/// until the file can store them.
class retrying_buffer_store {
public:
  explicit retrying_buffer_store(std::unique_ptr<buffer_store> store);

  caf::expected<journal_content> recover() { return store_->recover(); }
  caf::expected<uint64_t> append(std::span<const buffer_put> operations) { return store_->append(operations); }

  /// Records that a batch is about to be sent; fails until the batch before it can be removed.
  caf::expected<void> begin(const journal_batch& batch);
  /// The batch is done.
  void end(const std::string& key);
  /// The batch had no effect; its operations will be in other batches.
  void abandon(const std::string& key);

  /// Stores rows, at least in memory.
  void reject(std::vector<rejected_row> rows);

  /// The number of rows that are only in memory.
  uint64_t unstored() const noexcept { return unstored_.size(); }

  caf::expected<rejected_page> list(const rejected_query& query);

  /// Removes rows and returns them; an empty list means all.
  caf::expected<std::vector<rejected_row>> take(const std::vector<uint64_t>& ids);

  /// Moves rejected rows to the journal, all or none. Answers with the place of the first.
  /// @pre `ids` are those that `list` has just returned
  caf::expected<uint64_t> requeue(const std::vector<uint64_t>& ids, std::span<const buffer_put> operations);

  uint64_t count() const noexcept { return stored_ + unstored_.size(); }

  /// Retries the operations that the file has refused.
  caf::error catch_up();

  /// The last reason why the file refused an operation; empty when no operation waits.
  const std::string& trouble() const noexcept { return trouble_; }

private:
  void recount();

  std::unique_ptr<buffer_store> store_;
  // Batches to remove, in order; true for those that are done.
  std::vector<std::pair<std::string, bool>> to_forget_;
  // By ids that the file will not generate.
  std::map<uint64_t, rejected_row> unstored_;
  uint64_t next_id_;
  uint64_t stored_ = 0;
  std::string trouble_;
};

} // namespace sluice
