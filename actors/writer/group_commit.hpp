#pragma once

#include "actors/base/clock.hpp"
#include "actors/base/request_ids.hpp"
#include "actors/shared/audit_queue.hpp"
#include "actors/shared/database_context.hpp"
#include "actors/shared/reply.hpp"
#include "actors/shared/slow_requests.hpp"
#include "actors/writer/group_settings.hpp"
#include "actors/writer/lock_waiter.hpp"
#include "actors/writer/write_store.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// Combines writes into group commits: executes each request when it arrives, inside one transaction, and commits all
/// of them by one COMMIT.
///
/// Every request has its own outcome. A failing statement is undone alone. When an error loses the whole transaction,
/// the group runs again without the request that caused it; when COMMIT itself fails, the group is halved until the
/// failing request stands alone. No request is answered before, so clients do not notice that it runs again.
///
/// Owned and called by one writer; needs no CAF to be tested.
class group_commit {
public:
  /// The next action of the writer after a call.
  struct step {
    enum class action : uint8_t {
      /// Wait for further messages.
      wait,
      /// Send the marker that ends this group.
      mark,
      /// Call `finish_group` at once.
      finish_group,
      /// Call `finish_group` at once: the group is full, and more requests may wait than fit the next one.
      finish_full_group,
      /// Call `retry` after `delay`.
      retry,
      /// Call `expire` after `delay`.
      expire,
    };
    action next = action::wait;
    std::chrono::milliseconds delay{0};
  };

  /// A request and its outcome.
  struct finished_write {
    reply<write_result> to;
    caf::expected<write_result> result;
    std::string agent;
    /// The duration of its execution, including all attempts.
    std::chrono::nanoseconds executed{0};
    std::shared_ptr<sluice::ticket> ticket{};
  };

  /// The results of a group. Publish the changes to the audit, the cache and the listeners first, then deliver.
  struct finished_group {
    std::vector<finished_write> writes;
    struct change {
      invalidation message;
      /// Whether the cache may have answers that are no longer valid.
      bool concerns_cache = true;
    };
    /// One for each commit since the last group, in order, and one for changes that others may have made in between.
    std::vector<change> changes;
    audit_batch records;
    /// Warnings for operators about the database's files.
    std::vector<std::string> warnings;
    std::chrono::nanoseconds busy{0};
    /// Whether all its requests are short ones, which a thread with other duties may be running.
    bool is_short = true;
    /// Slow requests with their statements, to query their plans. No caller waits for these, so handle them last.
    std::vector<std::pair<slow_request, std::vector<statement>>> slow;
  };

  /// All arguments outlive this.
  group_commit(write_store& store, database_context& context, const clock& time, group_settings settings, uint64_t seed,
               const slow_requests& slow);

  /// Adds a request, and executes it unless an external process holds the lock.
  step add(write_request request, reply<write_result> to);

  /// Adds a request that is not executed but answered with the given error.
  step refuse(write_request request, reply<write_result> to, const failure& why);

  /// Tries again to get the lock that an external process held.
  step retry();

  /// Answers `busy` to the requests that wait for the lock and whose deadline has passed.
  step expire();

  /// Refuses all requests that wait for the lock, with the given error.
  void refuse_waiting(const failure& why);

  /// Commits the executed requests and returns every request with a known outcome.
  finished_group finish_group();

  /// The next action after the results of a group were delivered: requests may still wait for the lock.
  step after_group() const;

  /// Checks whether an external process has committed, unless a transaction is open, whose begin has checked already.
  void look_for_external_commit();

  /// Increases with every `finish_group`, so that a marker of an earlier group is recognized.
  uint64_t number() const noexcept { return number_; }

  bool empty() const noexcept { return entries_.empty(); }
  /// Requests in the group, including those that wait for the lock.
  size_t size() const noexcept { return entries_.size(); }

private:
  struct entry {
    write_request request;
    reply<write_result> to;
    lock_wait wait;
    /// When its wait ended because it was executed or refused; the part of the wait for an external process's lock; and
    /// the duration of its execution. Of the last execution, if there were several.
    clock::steady began{};
    std::chrono::nanoseconds locked_out{0};
    std::chrono::nanoseconds executed{0};
    // The duration of all its executions.
    std::chrono::nanoseconds executed_in_all{0};
    std::optional<write_result> result;
    std::optional<failure> error;
    table_set tables;
    bool schema_changed = false;
    bool is_bounded = false;

    bool failed() const noexcept { return error.has_value(); }
    bool is_waiting() const noexcept { return !error && !result; }
    /// Executed in the open transaction, so the commit record must contain it.
    bool applied() const noexcept { return !error && result && !result->replayed; }
    /// Repeats a commit older than the open transaction `seq`, whose outcome cannot change it.
    bool durable_before(uint64_t seq) const noexcept {
      return !error && result && result->replayed && result->commit_seq < seq;
    }
  };

  using range = std::pair<size_t, size_t>;

  entry& take_in(write_request request, reply<write_result> to);
  step begin();
  caf::expected<begun_transaction> ask_for_lock();
  std::chrono::milliseconds time_for_lock() const;
  step lock_refused(const failure& why);
  void give_up(entry& write);
  void end_wait(entry& write) const;
  step full_or(step::action otherwise) const;
  std::chrono::milliseconds milliseconds_until(clock::steady at) const;

  // Before: the transaction is open and contains the executed requests of `whole`. After: it is open and contains
  // `part` too, or every request in `whole` has failed or waits for the lock.
  bool execute(range part, range whole);
  void execute(entry& write);
  void run(entry& write);
  std::optional<failure> expiry_error(const entry& write) const;
  bool begin_again(range part);
  void undo(range part);

  // Before: the transaction is open and `part` is executed in it. After: no transaction is open, and each entry has its
  // outcome or waits for the lock.
  void commit(range part);
  void commit_failed(range part, const failure& why);
  void fail_live(range part, const failure& why);

  void finish_request(entry& write, int64_t ts_us, finished_group& into);
  audit_record record_of(entry& write, int64_t ts_us) const;
  audit_record record_of(request_type type, std::string_view status, int64_t ts_us) const;
  slow_request timing_of(const entry& write, const audit_record& record) const;
  void note_external_commit();
  void note_new_epoch();
  void note_late_commit();
  void everything_may_have_changed();

  write_store& store_;
  database_context& context_;
  const clock& time_;
  const group_settings settings_;
  const slow_requests& slow_;
  lock_waiter lock_;

  std::vector<entry> entries_;
  bool open_ = false;
  // The last reading of the clock. The end of one step is the beginning of the next, so one reading serves both.
  clock::steady now_{};
  clock::steady opened_at_{};
  uint64_t next_seq_ = 0;
  // The epoch that the open transaction begins, and the audit records of the epochs begun before.
  std::string new_epoch_;
  std::vector<audit_record> epochs_;
  uint64_t number_ = 1;
  bool external_commit_ = false;
  std::vector<finished_group::change> changes_;
  request_ids ids_;
};

} // namespace sluice
