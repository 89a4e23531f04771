#pragma once

#include "actors/base/clock.hpp"
#include "actors/base/request_ids.hpp"
#include "actors/base/synchronized.hpp"
#include "actors/buffer/buffer_store.hpp"
#include "actors/buffer/buffered_database.hpp"
#include "actors/buffer/flush_waiters.hpp"
#include "actors/buffer/retrying_buffer_store.hpp"
#include "actors/buffer/schema_cache.hpp"
#include "actors/shared/buffer_view.hpp"
#include "actors/shared/reply.hpp"
#include "messages/audit.hpp"
#include "messages/buffer.hpp"
#include "messages/log.hpp"
#include "messages/read.hpp"
#include "messages/write.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

struct buffer_engine_settings {
  write_behind_settings rows;
  /// Whether operations are on disk before they are acknowledged.
  bool journal = false;
  /// Bounds of the reads that it requests.
  read_limits reads;
  /// How long it tries to write the remaining rows when it is closed.
  std::chrono::milliseconds close_within{10'000};
  /// The seed of the keys of its requests.
  uint64_t seed = 0;
};

/// The logic of the write-behind buffer: accepts operations on rows, stores and merges them, decides when to write
/// them, and handles requests that fail.
///
/// A call has effects: answers to give, requests to send. They accumulate until `take_effects`; the caller takes them
/// after each call and executes them in the order in which `effects` lists them.
///
/// Owned and called by the buffer actor; uses no CAF actor, so its tests need none. Not synchronized. It blocks in its
/// store.
class buffer_engine {
public:
  /// An answer to give.
  template <class Result> struct answer {
    reply<Result> to;
    caf::expected<Result> result;
  };

  /// A request for the writer of a database; its answer is passed to `written`.
  struct outgoing_write {
    std::string db;
    write_request request;
  };

  /// A query for the stored content of a row; its answer is passed to `row_read`.
  struct row_query {
    uint64_t lookup_id = 0;
    read_request request;
  };

  /// A table whose schema must be read; the answer is passed to `schema_read`.
  struct unknown_table {
    std::string db;
    std::string table;
  };

  /// The effects of calls.
  struct effects {
    std::vector<audit_record> records;
    std::vector<answer<buffer_receipt>> receipts;
    std::vector<answer<buffered_row>> rows;
    std::vector<answer<flush_report>> reports;
    std::vector<answer<uint64_t>> decisions;
    std::vector<unknown_table> unknown_tables;
    std::vector<row_query> queries;
    std::vector<outgoing_write> writes;
    /// Messages for operators.
    std::vector<std::pair<log_level, std::string>> warnings;
    /// Whether to call `tick` after the messages that are in the buffer's mailbox now.
    bool calls_tick = false;
    /// When to call `tick`, from now.
    std::optional<clock::steady::duration> tick_in;
    /// `close` is done, and the buffer ends; the error names the lost rows, and is none if none were lost.
    std::optional<caf::error> closed;
  };

  /// Recovers the operations in the journal. All arguments outlive this, except the store, which it owns.
  /// @param view what operators see; its counters continue
  buffer_engine(buffer_engine_settings settings, std::unique_ptr<buffer_store> store, const clock& time,
                synchronized<buffer_view>& view);
  buffer_engine(const buffer_engine&) = delete;
  buffer_engine& operator=(const buffer_engine&) = delete;

  effects take_effects() { return std::exchange(effects_, {}); }

  /// Takes an operation: merges it, stores it, lets it wait for room, or refuses it.
  void put(buffer_put operation, reply<buffer_receipt> to);

  /// Answers with a row as it will be after all pending operations are written.
  void get(buffer_get request, reply<buffered_row> to);

  /// Answers when everything that has been put has been written, has been rejected, or could not be written this time.
  void flush(const flush_request& request, reply<flush_report> to);

  caf::expected<rejected_page> list(const rejected_query& query) { return store_.list(query); }

  /// Puts rejected rows again, or discards them; answers with their number.
  void decide(const rejected_decision& decision, reply<uint64_t> to);

  /// The schema of the database is about to change: answers as `flush` does, and from now on holds operations back
  /// unless the journal cannot be read.
  void quiesce(const std::string& db, reply<flush_report> to);
  bool is_quiet(const std::string& db) const { return quiet_.count(db) > 0; }

  /// Takes the operations that were held back.
  void resume(const std::string& db);

  /// The schema of the database may have changed.
  void forget_schema(const std::string& db) { shapes_.forget(db); }

  /// The query for the schema of a table.
  read_request schema_query(const std::string& db, const std::string& table) const;

  /// Answers to effects. @pre each is called once for its effect
  void written(const std::string& db, const caf::expected<write_result>& answer);
  void schema_read(const std::string& db, const std::string& table, caf::expected<read_result> answer);
  void row_read(uint64_t lookup_id, const caf::expected<read_result>& answer);

  /// Does what is due. May be called at any time.
  void tick();

  /// Refuses new operations, and has pending ones written until `close_within` is over. The effect `closed` follows,
  /// once.
  void close();
  bool is_closing() const noexcept { return closing_; }

private:
  /// An operation that is not in the journal yet.
  struct incoming {
    checked_operation operation;
    reply<buffer_receipt> to;
  };

  /// A put that waits for room, or for the end of a schema change.
  struct waiting_put {
    buffer_put put;
    reply<buffer_receipt> to;
    clock::steady until;
  };

  /// A row that a caller has requested.
  struct lookup {
    buffer_get get;
    reply<buffered_row> to;
    schema_cache::shape shape;
    checked_key key;
    uint64_t generation = 0;
    uint64_t flushes = 0;
  };
  using lookup_ptr = std::shared_ptr<lookup>;

  // buffer_engine.cpp: accepts operations.
  static caf::error shutting_down();
  caf::error recover();
  void recover(journal_content content);
  void admit(buffer_put operation, reply<buffer_receipt> to);
  void take(const table_schema& shape, buffer_put operation, reply<buffer_receipt> to);
  void wait_for_room(buffer_put operation, reply<buffer_receipt> to);
  void refuse_overload(reply<buffer_receipt> to);
  void accept(checked_operation operation, reply<buffer_receipt> to);
  void keep(checked_operation operation, reply<buffer_receipt> to);
  bool add(checked_operation operation);
  void write_journal();
  void admit_waiting();
  void drop_cancelled();
  void refuse_late(clock::steady now);
  void arm();
  void answer_put(reply<buffer_receipt>& to, caf::expected<buffer_receipt> result);
  void answer_row(reply<buffered_row>& to, caf::expected<buffered_row> result);
  void answer_decision(reply<uint64_t>& to, caf::expected<uint64_t> result);
  flush_waiters::report_handler answer_report(reply<flush_report> to);

  // buffer_engine_view.cpp: publishes the pending rows.
  buffered_database& database_of(const std::string& db);
  const buffered_database* find(const std::string& db) const;
  uint64_t pending() const noexcept;
  bool has_room(uint64_t reserved) const;
  uint64_t room_for_rejected() const;
  void publish();
  void show_pending(buffer_view& view) const;

  // buffer_engine_flush.cpp: has rows written.
  void pump(const std::string& db);
  void pump_all();
  void apply(const flush_outcome& out);
  void store_outcome(const flush_outcome& out);
  void count(const flush_outcome& out);
  void flush(const std::string& db, const std::string& table, flush_waiters::report_handler done);
  void end_if_done();
  void give_up();
  void reject(std::vector<unwritten_operation> operations);
  caf::error error_of_lost_rows();

  // buffer_engine_rows.cpp: answers with pending and rejected rows.
  void look(const lookup_ptr& row);
  void continue_after_flush(const lookup_ptr& row);
  void show(const lookup_ptr& row, const read_result& stored);
  pending_operations apply_pending(const lookup& row, row_image& image) const;
  uint64_t generation_of(const row_key& row) const;
  caf::expected<std::vector<rejected_row>> rows_to_put_again(const std::vector<uint64_t>& ids);
  caf::expected<uint64_t> put_again(const std::vector<uint64_t>& ids);
  caf::expected<uint64_t> move_to_journal(const std::vector<uint64_t>& ids,
                                          const std::vector<checked_operation>& operations);

  // buffer_engine_schema.cpp: schemas of tables; no row is pending while a schema changes.
  void with_shape(const std::string& db, const std::string& table, schema_cache::then next);
  void hold(buffer_put operation, reply<buffer_receipt> to);
  void insert_in_order(std::deque<waiting_put>& puts, waiting_put put);
  read_request read_of(const std::string& db, statement query, const std::string& agent) const;

  const buffer_engine_settings settings_;
  const clock& time_;
  synchronized<buffer_view>& view_;
  retrying_buffer_store store_;
  request_ids ids_;
  std::map<std::string, buffered_database> databases_;
  // Counts operations.
  uint64_t number_ = 0;
  schema_cache shapes_;
  bool recovered_ = false;
  effects effects_;

  std::vector<incoming> to_journal_;
  std::deque<waiting_put> waiting_;
  // While puts that waited for a table are admitted: the number of them that must wait for room.
  std::optional<size_t> ahead_;
  flush_waiters flushes_;
  // Lookups whose query is under way.
  std::map<uint64_t, lookup_ptr> lookups_;
  uint64_t next_lookup_ = 1;
  // By database: lookups to continue when its write request is answered.
  std::map<std::string, std::vector<lookup_ptr>> parked_;
  std::map<std::string, clock::steady> sent_at_;
  // Databases whose schema is about to change, and the operations for them that wait meanwhile.
  std::set<std::string> quiet_;
  std::map<std::string, std::deque<waiting_put>> held_puts_;

  // When `tick` will be called; `max` if unknown.
  clock::steady next_tick_ = clock::steady::max();
  bool closing_ = false;
  bool closed_ = false;
  clock::steady close_by_{};
  // By database: the number of failed write requests while closing.
  std::map<std::string, uint64_t> refusals_while_closing_;
};

} // namespace sluice
