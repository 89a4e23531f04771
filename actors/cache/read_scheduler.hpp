#pragma once

#include "actors/base/clock.hpp"
#include "actors/base/request_ids.hpp"
#include "actors/base/retry_policy.hpp"
#include "actors/cache/known_statements.hpp"
#include "actors/cache/reader_pool.hpp"
#include "actors/shared/database_bounds.hpp"
#include "actors/shared/fair_queue.hpp"
#include "actors/shared/reply.hpp"
#include "actors/shared/requester.hpp"
#include "actors/shared/result_cache.hpp"
#include "actors/shared/slow_requests.hpp"
#include "messages/interfaces.hpp"
#include "messages/status.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice {

/// Decides which reader runs which query, and which callers share an answer.
///
/// Identical reads share one flight. A read joins a flight only when it cannot miss a write that its caller may have
/// seen: the flight has not begun, or nothing that it reads has changed since. An answer is kept in the result cache on
/// the same condition. A reader is given one query at a time, so a long one delays only its own callers while another
/// reader is idle; one reader is reserved for short queries, and so are some of the threads that all databases share.
/// Waiting queries are served by turns: of the processes, and within a process of its agents. One process on a socket
/// may use half of the waiting places.
///
/// Queries that are known to be tiny may wait at a reader behind others. If one of these turns out to be long, the
/// scheduler takes those behind it back, and they wait for any reader.
///
/// A caller is answered when its time-out has passed, whether the query waits, runs, or does not return.
///
/// A query that finds the database locked by another process runs again after a pause, until the time-outs of its
/// callers have passed. Meanwhile it occupies no reader.
///
/// Owned and called by the cache actor; tests need CAF only for handles, which may be empty.
class read_scheduler {
public:
  /// A query to send to a reader.
  struct dispatch {
    reader_actor reader;
    uint64_t flight = 0;
    read_request request;
    bool is_tiny = false;
  };

  /// The effects of a call: queries to start, answers to deliver.
  struct effects {
    struct delivery {
      reply<read_result> to;
      caf::expected<read_result> result;
    };

    struct quiesce_answer {
      reply<bool> to;
      bool is_quiet = false;
    };

    std::vector<delivery> deliveries;
    std::vector<quiesce_answer> quiesced;
    std::vector<dispatch> dispatches;
    std::vector<audit_record> records;
    /// Reads that were refused while they waited for a reader; readers audit the queries that they run.
    std::vector<slow_request> slow;
    /// Databases whose queue needs more readers.
    std::vector<std::string> wants_readers;
    /// Databases to which an external process may have written.
    std::vector<std::string> suspects;
    /// When to call `retry_locked`, from now; nothing if this call does not require it.
    std::optional<std::chrono::milliseconds> retry_in;
    /// When to call `expire`, likewise.
    std::optional<std::chrono::milliseconds> expire_in;
  };

  /// @param max_long_reads the maximum number of concurrent queries of all databases without a time limit
  read_scheduler(result_cache& hits, const clock& time, bounds_of_database bounds, uint64_t seed,
                 retry_policy retry = {}, uint64_t max_long_reads = UINT64_MAX)
    : hits_(hits), time_(time), bounds_(std::move(bounds)), retry_(retry), backoff_(retry, seed), ids_(seed),
      long_reads_(max_long_reads) {}
  read_scheduler(const read_scheduler&) = delete;
  read_scheduler& operator=(const read_scheduler&) = delete;
  /// Interrupts the running queries, because their answers have no receiver.
  ~read_scheduler();

  /// Accepts a read. Its `limits` are the effective ones: none of them is zero.
  void submit(database_context& context, read_request request, reply<read_result> to, effects& out);

  /// Ends the reads with this request id with `cancelled`; false when there are none. A query without a waiting caller
  /// is not started, or is interrupted. Searches all reads, so that reads that are not cancelled cost nothing.
  bool cancel(const std::string& request_id, effects& out);

  /// A reader has answered, or refused the query; `busy` is the time that it spent on it.
  void finished(uint64_t flight, caf::expected<executed_read> answer, std::chrono::microseconds busy, effects& out);

  /// Runs the queries again whose pause is over, and answers `busy` to callers whose time-out has passed.
  void retry_locked(effects& out);

  /// Answers the callers whose time-out has passed.
  void expire(effects& out);

  /// The broker ends: no read takes longer than `time` from now.
  void drain(std::chrono::milliseconds time, effects& out);

  /// Starts no further query on the database until `resume`, or until `time` has passed. `to` gets true as soon as no
  /// query runs, false when the time is over. Queries that wait meanwhile are served afterwards, or expire.
  void quiesce(database_context& context, std::chrono::milliseconds time, reply<bool> to, effects& out);

  /// Starts queries on the database again.
  void resume(database_context& context, effects& out);

  /// Waiting and running queries, unordered.
  std::vector<running_request> running() const;

  /// A reader for the database was added, or has ended; the queries of the latter fail with `unavailable`.
  void reader_joined(database_context& context, reader_actor reader, effects& out);
  void reader_lost(const caf::actor_addr& reader, effects& out);

  /// Refuses the reads that wait for a reader if the database has been closed, because no reader will come.
  void refuse_if_closed(database_context& context, effects& out);

  /// The schema may have changed: forgets what is known about statements.
  void forget_statements() { statements_.clear(); }

  /// Ends every read: those that wait get `unavailable`, running queries are interrupted.
  void abandon(effects& out);

  uint64_t misses() const noexcept { return misses_; }
  uint64_t joined() const noexcept { return joined_; }

private:
  struct waiter {
    reply<read_result> to;
    read_request request;
    // The newest commit when the read was submitted; an answer that it shares must include it.
    uint64_t newest_seq = 0;
  };

  struct quiescence {
    database_context* context = nullptr;
    clock::steady until{};
    // Empty after the answer.
    std::optional<reply<bool>> to;
  };

  struct database_queue {
    database_queue(const database_bounds& bounds, long_reads& everywhere)
      : readers(bounds.readers, &everywhere), max_queued(bounds.queue.max_requests) {}

    // Null until a flight has waited.
    database_context* context = nullptr;
    reader_pool readers;
    // Whether `take_back` will be called for this database.
    bool is_watched = false;
    uint64_t max_queued;
    // Waiting flights, once for each process that has requested them; some may have ended. Flights that are known to be
    // long wait separately, since there may be no reader for them when there is one for others.
    fair_queue<uint64_t> others;
    fair_queue<uint64_t> lengthy;
    bool lengthy_is_next = false;
    // The number of waiting flights that have not ended, and for each process the number of those that it requested
    // first.
    uint64_t queued = 0;
    std::map<uint64_t, uint64_t> queued_of_process;
    std::optional<quiescence> quiesced{};
  };

  struct flight {
    database_context* context = nullptr;
    // The first caller, to which the time is charged.
    requester from;
    // Empty when all callers have cancelled while the query ran.
    std::vector<waiter> waiters;
    // The hash of context and statement; the same for all its waiters.
    size_t hash = 0;
    bool joinable = false;
    bool is_queued = false;
    bool started = false;
    // The reader runs it for `brief_time` at most, although it has taken longer before.
    bool is_limited = false;
    bool is_lengthy = false;
    clock::steady started_at{};
    // The caller whose limits the query runs under has cancelled; the others have joined.
    bool first_left = false;
    // Taken before the reader begins; invalid if a COMMIT was running at that time.
    uint64_t version = 0;
    bool in_doubt = false;
    uint64_t as_of_seq = 0;
    reader_pool::reader* reader = nullptr;
    // Interrupts the query.
    cancel_token interrupt;
    // The number of lock errors, the last one, the time of the first, and the time of the next try.
    uint64_t refusals = 0;
    failure refusal;
    clock::steady locked_since{};
    clock::steady retry_at{};
    bool is_paused = false;

    const read_request& request() const { return waiters.front().request; }
    /// Whether waiter `i` shares a query that another caller requested.
    bool has_joined(size_t i) const noexcept { return i > 0 || first_left; }
  };

  clock::steady end_of(const read_request& request) const {
    return std::min(drained_at_, request.received + request.limits.timeout);
  }
  failure late(const read_request& request, const char* message) const;
  bool may_join(const flight& flight, const read_request& request) const;
  database_queue& queue_of(const database_context& context);
  query_length length_of(const flight& flight) const;
  std::optional<failure> refuse(const database_queue& queue, const read_request& request) const;
  void enqueue(uint64_t id, flight& flight);
  void wait_in_turn(database_queue& queue, uint64_t id, const flight& flight, const requester& from);
  static void unqueue(database_queue& queue, flight& flight);
  bool start_at_once(database_queue& queue, uint64_t id, const flight& flight, effects& out);
  void start_queued(database_context& context, effects& out);
  void start_elsewhere(effects& out);
  bool start_next(database_queue& queue, effects& out);
  bool start_lengthy(database_queue& queue, effects& out);
  void start(database_queue& queue, uint64_t id, const reader_pool::grant& place, query_length length, effects& out);
  bool drop_if_late(uint64_t id, effects& out);
  bool took_too_long(uint64_t id, flight& flight, const caf::error& error, std::chrono::microseconds busy,
                     effects& out);
  void watch(database_queue& queue, effects& out);
  void take_back(clock::steady now, effects& out);
  void take_back(uint64_t id);
  bool was_taken_back(uint64_t id, effects& out);
  void expire_at(clock::steady at, effects& out);
  void call_expire(clock::steady at, effects& out);
  clock::steady expire(uint64_t id, flight& flight, clock::steady now, effects& out);
  bool expired(const read_request& request, clock::steady now, effects& out, waiter& waiter);
  void answer_if_quiet(database_queue& queue, effects& out);
  clock::steady end_quiescence(clock::steady now, effects& out);
  void interrupt_all() noexcept;
  void lock_refused(uint64_t id, flight& flight, failure error, effects& out);
  void pause(uint64_t id, flight& flight, clock::steady now, effects& out);
  void fail_late(flight& flight, clock::steady now, effects& out);
  void retry_before(const waiter& waiter, const flight& other, effects& out) const;
  void leave(uint64_t id, flight& flight);
  void unlist(uint64_t id, const flight& flight);
  std::optional<flight> take(uint64_t id);
  void notice_external_commit(flight& flight, bool files_replaced, effects& out) const;
  void answer(flight& flight, executed_read& result, effects& out);
  void answer(flight& flight, const failure& error, effects& out);
  void fail(waiter& waiter, const failure& error, effects& out);
  void give_up(waiter& waiter, const failure& error, clock::steady now, effects& out);
  void deliver(waiter& waiter, caf::expected<read_result> result, effects& out);

  result_cache& hits_;
  const clock& time_;
  const bounds_of_database bounds_;
  const retry_policy retry_;
  backoff backoff_;
  request_ids ids_;
  uint64_t next_flight_ = 1;
  uint64_t misses_ = 0;
  uint64_t joined_ = 0;
  long_reads long_reads_;
  std::unordered_map<uint64_t, flight> flights_;
  // Joinable flights by the hash of their statement; lookups compare candidates in full.
  std::unordered_multimap<size_t, uint64_t> joinable_;
  std::map<const database_context*, database_queue> queues_;
  clock::steady drained_at_ = clock::steady::max();
  // When `expire` will be called; `max` if no call is scheduled.
  clock::steady next_expiry_ = clock::steady::max();
  // When to check next whether to take queries back, and for which databases.
  clock::steady next_overrun_check_ = clock::steady::max();
  std::vector<database_queue*> watched_;
  // Whether an outcome had room for one of the two times only.
  bool owes_call_ = false;
  // Flight ids under which readers still have queries that were taken back from them.
  struct taken_back_run {
    database_context* context = nullptr;
    reader_pool::reader* reader = nullptr;
  };
  std::unordered_map<uint64_t, taken_back_run> taken_back_;
  // Paused flights; some may have ended.
  std::vector<uint64_t> paused_;
  known_statements statements_;
};

} // namespace sluice
