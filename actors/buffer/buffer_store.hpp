#pragma once

#include "messages/buffer.hpp"
#include "messages/write.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sluice {

/// A batch of buffered operations that is sent to a writer, as the journal stores it: it may be sent again under the
/// same key, and is applied once.
struct journal_batch {
  std::string idempotency_key;
  write_request request;
  /// The places in the journal of the operations in it.
  std::vector<uint64_t> operations;
};

/// The content of a journal at the start: batches with unknown outcome, in the order in which they were sent, and the
/// operations in no batch, in the order in which they were put.
struct journal_content {
  struct operation {
    uint64_t seq = 0;
    buffer_put content;
  };
  std::vector<journal_batch> batches;
  std::vector<operation> operations;
  /// The operations in batches, in the order of the batches; needed for their agents, and if a batch is refused.
  std::vector<operation> in_batches;
};

/// The buffer's port: one file that stores rejected rows and, with a journal, pending operations. Used by one thread at
/// a time. The effects of a successful call survive a kill of the process.
class buffer_store {
public:
  virtual ~buffer_store() = default;

  /// Appends operations to the journal, in one transaction; answers with the place of the first, the others follow.
  virtual caf::expected<uint64_t> append(std::span<const buffer_put> operations) = 0;

  /// Records that a batch is about to be sent. `errc::constraint`, without effect, when its key is in use.
  /// @pre its operations are in no batch
  virtual caf::expected<void> begin_batch(const journal_batch& batch) = 0;

  /// Removes a batch and its operations, which are now in the database or in `rejected`. A missing batch is no error.
  virtual caf::expected<void> end_batch(const std::string& idempotency_key) = 0;

  /// Removes a batch that took no effect; its operations are pending again.
  virtual caf::expected<void> abandon_batch(const std::string& idempotency_key) = 0;

  virtual caf::expected<journal_content> recover() = 0;

  /// Stores rows that were not written, all or none. Answers with the id of the first; the others follow.
  /// @pre not empty
  virtual caf::expected<uint64_t> reject(std::span<const rejected_row> rows) = 0;

  virtual caf::expected<rejected_page> rejected(const rejected_query& query) = 0;

  /// Removes rejected rows and answers with them; an empty list of ids means all.
  virtual caf::expected<std::vector<rejected_row>> take_rejected(std::span<const uint64_t> ids) = 0;

  /// Moves rejected rows to the journal in one transaction: removes `ids`, appends `operations`. Answers with the place
  /// of the first; the others follow.
  virtual caf::expected<uint64_t> requeue(std::span<const uint64_t> ids, std::span<const buffer_put> operations) = 0;

  /// The number of rejected rows.
  virtual caf::expected<uint64_t> count_rejected() = 0;
};

} // namespace sluice
