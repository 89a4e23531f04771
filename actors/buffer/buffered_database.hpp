#pragma once

#include "actors/base/request_ids.hpp"
#include "actors/buffer/flush_batch.hpp"
#include "actors/buffer/row_queue.hpp"
#include "messages/buffer.hpp"
#include "messages/error.hpp"
#include "messages/write.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

struct write_behind_settings {
  std::chrono::milliseconds interval{5'000};
  /// Operations in one request; as soon as this many rows of a database are pending, they are written.
  uint64_t batch = 100;
  /// The maximum number of pending rows, and their bytes. Callers may use four fifths of it; the rest is for requeued
  /// rows.
  uint64_t max_pending = 1'000;
  uint64_t max_bytes = 64ULL << 20;
  /// The deadline of the requests that write the rows.
  std::chrono::milliseconds write_deadline{30'000};
  /// Tables with an interval or a priority of their own.
  std::vector<buffered_table_rules> tables;
};

/// The outcome of one write request.
struct flush_outcome {
  enum class verdict : uint8_t {
    /// It is in the database.
    written,
    /// It may be sent again later, and is stored unchanged until then.
    kept,
    /// The database refused it; the next requests are its halves.
    halved,
    /// It was a single operation, and the database refused it.
    rejected,
  };

  verdict result = verdict::written;
  std::string db;
  /// The idempotency key of the request, and whether it is in the journal.
  std::string key;
  bool journaled = false;
  /// The operations that were written or rejected.
  std::vector<outgoing_operation> completed;
  /// The reason why it was not written.
  failure error;
  uint64_t commit_seq = 0;

  /// The number of rows that the operations up to `number` complete. @param table by folded name; empty means all
  uint64_t rows(const std::string& table = {}, uint64_t number = UINT64_MAX) const;
};

/// An operation that this buffer will not write.
struct unwritten_operation {
  outgoing_operation operation;
  /// The error of the last request to its database; without a message when none has failed.
  failure error;
  /// Whether it may be in the database nevertheless.
  bool in_doubt = false;
};

/// The pending operations for one row.
struct pending_operations {
  /// False when their effect cannot be predicted without executing them.
  bool certain = true;
  /// True when the answer of the running request must be known first.
  bool wait = false;
  uint64_t count = 0;
};

/// The pending rows of one database, and the request that writes some of them: decides which rows are due, how they are
/// divided into requests, and how to continue when a request fails. One request runs at a time.
///
/// Owned and called by `buffer_engine`; uses no CAF actor. Not synchronized.
class buffered_database {
public:
  /// All arguments outlive this. @param ids generates the keys of requests
  buffered_database(std::string name, const write_behind_settings& settings, const clock& time, request_ids& ids);

  const std::string& name() const noexcept { return name_; }

  /// The rows that are in no request.
  const row_queue& rows() const noexcept { return rows_; }

  /// @param number counts the operations of all databases
  /// @returns whether it was merged into a waiting row
  bool add(checked_operation operation, uint64_t number, clock::steady since);

  /// Recovers a batch from the journal and its operations. It is sent before anything else.
  void recover(journal_batch batch, std::vector<outgoing_operation> operations);

  /// The request to send now; null when nothing is due, or while the last one runs. The same until `sent`, `finish` or
  /// `postpone` is called. @param everything also rows that are not due
  flush_batch* next(bool everything);

  /// The request of the batch that `next` has returned.
  const journal_batch& request_of(flush_batch& batch);

  /// The request that `next` has returned was sent. @pre there is one
  void sent();

  /// Takes the answer to the running request. @pre there is one
  flush_outcome finish(const caf::expected<write_result>& answer);

  /// The request could not be sent for another reason. @pre `next` has returned it
  flush_outcome postpone(failure error);

  /// Everything up to the operation `number` is due from now on, including what waits for a retry. An empty table means
  /// all of them.
  void want(const std::string& table, uint64_t number);

  /// From now on everything is due at once, including what waits for a retry, and retries follow faster.
  void close() noexcept;

  /// When `next` may have a request without further calls; `max` when never.
  clock::steady next_due() const;

  /// Rows with operations up to `number` that are not written yet, including the running request; an empty table means
  /// all.
  uint64_t pending(const std::string& table, uint64_t number) const;

  /// Applies the pending operations of a row to `image`, as far as their effect is certain.
  pending_operations apply(const checked_key& key, row_image& image) const;

  /// Increases whenever something was written to the table.
  uint64_t generation(const std::string& table) const;

  /// Removes everything that waits, and returns it.
  std::vector<unwritten_operation> give_up();

private:
  struct attempt {
    flush_batch batch;
    bool under_way = false;
    // The last answer was lost, so the operation may have been written.
    bool in_doubt = false;
    failure error{};
    uint64_t failures = 0;
    uint64_t timeouts = 0;
    clock::steady retry_at{};
  };

  buffered_table_rules rules_for(const std::string& table) const;
  flush_outcome outcome_of_attempt();
  bool is_transient(const failure& error);
  void keep(flush_outcome& out);
  void complete(flush_outcome& out);
  std::chrono::milliseconds pause_after(const failure& error) const;

  const std::string name_;
  const write_behind_settings& settings_;
  const clock& time_;
  request_ids& ids_;
  row_queue rows_;
  std::optional<attempt> attempt_;
  // Batches from the journal, to be sent before anything else.
  std::vector<flush_batch> recovered_;
  // By table.
  std::map<std::string, uint64_t> generations_;
  bool closing_ = false;
};

} // namespace sluice
