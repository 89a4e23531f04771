#pragma once

#include "actors/base/clock.hpp"
#include "actors/buffer/buffer_store.hpp"
#include "actors/buffer/retrying_buffer_store.hpp"
#include "actors/buffer/schema_cache.hpp"
#include "actors/buffer/write_behind.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/reply.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sluice {

/// What the buffer works with; the store is its own, the rest outlives it.
struct buffer_dependencies {
  std::unique_ptr<buffer_store> store;
  std::shared_ptr<actor_registry> actors;
  const clock* time = nullptr;
  std::shared_ptr<actor_stats> stats;
  write_behind_settings settings;
  /// Whether operations are on disk before they are acknowledged.
  bool journal = false;
  /// Bounds of the reads that it makes.
  read_limits reads;
  /// How long it tries to write what is left when it is closed.
  std::chrono::milliseconds close_within{10'000};
  uint64_t seed = 0;
  /// Tells operators, in words, what has become of rows that could not be written. Thread-safe; may be empty.
  std::function<void(log_level, const std::string&)> tell{};
};

struct buffer_state {
  explicit buffer_state(buffer_actor::pointer me) : self(me) {}

  using ok_promise = caf::typed_response_promise<caf::ok_atom>;

  /// An operation on its way into the journal.
  struct incoming {
    checked_operation operation;
    reply<buffer_receipt> to;
  };

  /// A put for which there is no room yet.
  struct waiting_put {
    buffer_put put;
    reply<buffer_receipt> to;
    clock::steady until;
  };

  /// Somebody who waits for everything up to an operation to be written.
  struct waiting_flush {
    /// Folded; empty means all.
    std::string table;
    uint64_t number = 0;
    std::set<std::string> databases;
    flush_report report;
    std::function<void(const flush_report&)> done;
  };

  /// A row that somebody asks for.
  struct lookup {
    buffer_get get;
    reply<buffered_row> to;
    schema_cache::shape shape;
    checked_key key;
    uint64_t generation = 0;
    uint64_t flushes = 0;
  };
  using lookup_ptr = std::shared_ptr<lookup>;

  // buffer.cpp: taking operations.
  void start(buffer_dependencies x);
  caf::error recover();
  void put(buffer_put x, reply<buffer_receipt> to);
  void admit(buffer_put x, reply<buffer_receipt> to);
  void take(const table_schema& shape, buffer_put x, reply<buffer_receipt> to);
  void wait_for_room(buffer_put x, reply<buffer_receipt> to);
  void accept(checked_operation x, reply<buffer_receipt> to);
  void keep(checked_operation x, reply<buffer_receipt> to);
  void write_journal();
  void let_in();
  void drop_cancelled();
  void invalidate(const invalidation& x);
  void tick();
  void arm();
  void publish();
  void show_pending(buffer_view& view) const;

  template <class Result>
  reply<Result> recorded(caf::typed_response_promise<Result> to, unrecorded_request x, bool always) const {
    reply<Result> result{std::move(to)};
    result.on_answer(recorder(std::move(x), always));
    return result;
  }
  // Tells the audit when the request is refused, and if `always` also when it is done.
  std::function<void(const caf::error*)> recorder(unrecorded_request x, bool always) const;

  // buffer_flush.cpp: having them written.
  void pump(const std::string& db);
  void pump_all();
  void send(const std::string& db, write_request request);
  void finished(const std::string& db, const caf::expected<write_result>& answer);
  void apply(flush_outcome out);
  void tell_waiting(const flush_outcome& out);
  void flush(const flush_request& what, std::function<void(const flush_report&)> done);
  void close(ok_promise done);
  void end_if_done();
  void give_up();
  void set_aside(std::vector<unwritten_operation> operations);
  caf::error why_rows_are_lost();

  // buffer_rows.cpp: rows that somebody asks for.
  void get(buffer_get x, reply<buffered_row> to);
  void look(const lookup_ptr& x);
  void look_after_flush(const lookup_ptr& x);
  void show(const lookup_ptr& x, const read_result& stored);
  void decide(const rejected_decision& x, reply<uint64_t> done);
  caf::expected<uint64_t> take_back(const std::vector<uint64_t>& ids);
  caf::expected<uint64_t> put_back(const std::vector<uint64_t>& ids, const std::vector<checked_operation>& again);

  // buffer_schema.cpp: what tables look like; no row waits while that changes.
  void with_shape(const std::string& db, const std::string& table, schema_cache::then next);
  void ask_for_shape(const std::string& db, const std::string& table);
  void quiesce(const std::string& db, const caf::strong_actor_ptr& writer,
               std::function<void(const flush_report&)> done);
  void resume(const std::string& db);
  void writer_ended(const caf::actor_addr& writer);
  void hold(buffer_put x, reply<buffer_receipt> to);

  read_request read_of(const std::string& db, statement query, const std::string& agent) const;
  caf::error refusal() const;

  buffer_actor::pointer self;
  buffer_dependencies parts;
  std::unique_ptr<retrying_buffer_store> store;
  std::unique_ptr<write_behind> rows;
  schema_cache shapes;
  bool recovered = false;

  std::vector<incoming> to_journal;
  std::deque<waiting_put> waiting;
  // While those who waited for a table are let in: how many of them have to wait for room.
  std::optional<size_t> ahead;
  std::vector<waiting_flush> flushes;
  // By database: to be looked at again when its request is answered.
  std::map<std::string, std::vector<lookup_ptr>> parked;
  std::map<std::string, clock::steady> sent_at;
  // Databases whose schema is about to change, with the writer that changes it, and what was put for them meanwhile.
  std::map<std::string, caf::actor_addr> quiet;
  std::map<std::string, std::vector<waiting_put>> held_puts;

  clock::steady armed_for = clock::steady::max();
  bool closing = false;
  clock::steady close_by{};
  // By database: how often it has refused to be written while closing.
  std::map<std::string, uint64_t> refusals_while_closing;
  std::vector<ok_promise> awaiting_close;
  static inline const char* name = "buffer";
};

/// The behavior of the write-behind buffer. Spawn it detached when it keeps a journal: it then waits for the disk.
buffer_actor::behavior_type buffer(buffer_actor::stateful_pointer<buffer_state> self,
                                   std::shared_ptr<buffer_dependencies> parts);

} // namespace sluice
