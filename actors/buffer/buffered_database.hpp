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
  /// Operations of one request; as many rows of a database are written at once.
  uint64_t batch = 100;
  /// Rows that may be pending, and their bytes. Callers may fill four fifths of it; the rest is for rows taken back.
  uint64_t max_pending = 1'000;
  uint64_t max_bytes = 64ULL << 20;
  /// For the requests that write them.
  std::chrono::milliseconds write_deadline{30'000};
  /// Tables with an interval or a priority of their own.
  std::vector<buffered_table_rules> tables;
};

/// What one request to a writer came to.
struct flush_outcome {
  enum class verdict : uint8_t {
    /// It is in the database.
    written,
    /// It may be sent again later, and is kept as it is until then.
    kept,
    /// The database refused it; the next requests are halves of it.
    halved,
    /// It was a single operation, and the database refused it.
    rejected,
  };

  verdict result = verdict::written;
  std::string db;
  /// The idempotency key of the request, and whether the journal knows it.
  std::string key;
  bool journaled = false;
  /// The operations that were written or rejected.
  std::vector<outgoing_operation> completed;
  /// Why it was not written.
  failure error;
  uint64_t commit_seq = 0;

  /// How many rows are completed by the operations up to `number`. @param table by folded name; empty means all
  uint64_t rows(const std::string& table = {}, uint64_t number = UINT64_MAX) const;
};

/// An operation that this buffer is not going to write.
struct unwritten_operation {
  outgoing_operation operation;
  /// Why the last request to its database failed; without a message when none has.
  failure error;
  /// Whether it may be in the database all the same.
  bool in_doubt = false;
};

/// What is pending for one row.
struct pending_operations {
  /// False when the operations cannot be foreseen without executing them.
  bool certain = true;
  /// True when the answer of the request under way has to be known first.
  bool wait = false;
  uint64_t count = 0;
};

/// The rows of one database that wait to be written, and the request that writes some of them: what is due, in which
/// portions, and what comes next when a request fails. One request is under way at a time.
///
/// Owned and called by `buffer_engine`; knows no CAF actor. Not synchronized.
class buffered_database {
public:
  /// Everything given outlives this. @param ids makes the keys of requests
  buffered_database(std::string name, const write_behind_settings& settings, const clock& time, request_ids& ids);

  const std::string& name() const noexcept { return name_; }

  /// The rows that are in no request.
  const row_queue& rows() const noexcept { return rows_; }

  /// @param number counts the operations of all databases
  /// @returns whether it was merged into a row that waited
  bool add(checked_operation operation, uint64_t number, clock::steady since);

  /// Takes over a batch that a journal remembers, and the operations in it. It is sent before anything else.
  void recover(journal_batch batch, std::vector<outgoing_operation> operations);

  /// The request to send now; null when nothing is due, or the last one is still under way. The same until `sent`,
  /// `finish` or `postpone` is called. @param everything also rows that are not due
  flush_batch* next(bool everything);

  /// The request of the batch that `next` has returned.
  const journal_batch& request_of(flush_batch& batch);

  /// The request that `next` has returned is under way. @pre there is one
  void sent();

  /// The answer to the request that was under way. @pre there is one
  flush_outcome finish(const caf::expected<write_result>& answer);

  /// The request could not be sent, which is not its fault. @pre `next` has returned it
  flush_outcome postpone(failure error);

  /// Everything up to the operation `number` is due from now on, also what waits for another try. An empty table means
  /// all of them.
  void want(const std::string& table, uint64_t number);

  /// From now on everything is due at once, also what waits for another try, and tries are closer together.
  void close() noexcept;

  /// When `next` may have something by itself; `max` when never.
  clock::steady next_due() const;

  /// Rows that wait for operations up to `number`, those under way included; an empty table means all.
  uint64_t pending(const std::string& table, uint64_t number) const;

  /// Applies what is pending for a row to `image`, as far as it is certain.
  pending_operations apply(const checked_key& key, row_image& image) const;

  /// Grows whenever something was written to the table.
  uint64_t generation(const std::string& table) const;

  /// Forgets everything that waits, and returns it.
  std::vector<unwritten_operation> give_up();

private:
  struct attempt {
    flush_batch batch;
    bool under_way = false;
    // The last answer left open whether it is written.
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
  // Batches of a journal, to be sent before anything else.
  std::vector<flush_batch> recovered_;
  // By table.
  std::map<std::string, uint64_t> generations_;
  bool closing_ = false;
};

} // namespace sluice
