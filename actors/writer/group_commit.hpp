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

/// Turns single writes into group commits: executes each request as it comes in, inside one transaction, and commits
/// all of them by one COMMIT.
///
/// Every request gets its own outcome. A failing statement is undone alone. When an error costs the whole
/// transaction, the group runs again without the request that caused it; when COMMIT itself fails, the group is halved
/// until the request that fails stands alone. No request has been answered until then, so clients do not see that it
/// runs again.
///
/// Owned and called by one writer; needs no CAF to be tested.
class group_commit {
public:
  /// What the writer has to do after a call.
  struct step {
    enum class action : uint8_t {
      /// Nothing; more may come.
      wait,
      /// Send the marker that ends this group.
      mark,
      /// Settle at once.
      finish_group,
      /// Settle at once: the group is full, and there may be more waiting than fits the next one.
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
    /// How long it was executed, all attempts included.
    std::chrono::nanoseconds executed{0};
    std::shared_ptr<sluice::ticket> ticket{};
  };

  /// The results of a group. Tell the audit, the cache and the listeners first, then deliver.
  struct finished_group {
    std::vector<finished_write> writes;
    struct change {
      invalidation what;
      /// Whether the cache may have answers that are not valid any more.
      bool concerns_cache = true;
    };
    /// One for each commit since the last group, in order, and for what others may have changed in between.
    std::vector<change> changes;
    audit_batch records;
    /// What operators should know of the database's files.
    std::vector<std::string> warnings;
    std::chrono::nanoseconds busy{0};
    /// Whether all its requests are short ones, which a thread with other duties may be running.
    bool is_short = true;
    /// Requests that took notably long, with their statements, whose plan may be asked for. Nobody waits for that, so
    /// see to them last.
    std::vector<std::pair<slow_request, std::vector<statement>>> slow;
  };

  /// Everything given outlives this.
  group_commit(write_store& store, database_context& context, const clock& time, group_settings settings, uint64_t seed,
               const slow_requests& slow);

  /// Takes a request in, and executes it unless an external process holds the lock.
  step add(write_request request, reply<write_result> to);

  /// Takes a request in that is not to be executed, for the reason given.
  step refuse(write_request request, reply<write_result> to, const failure& why);

  /// Asks again for the lock that an external process held.
  step retry();

  /// Answers what waits for the lock and whose deadline has passed with `busy`.
  step expire();

  /// Refuses everything that waits for the lock, for the reason given.
  void refuse_waiting(const failure& why);

  /// Commits what was executed and returns every request whose outcome is known.
  finished_group finish_group();

  /// What to do once the results of a group are delivered: requests may still wait for the lock.
  step after_group() const;

  /// Looks whether an external process has committed, unless a transaction is open, whose begin has looked already.
  void look_for_external_commit();

  /// Grows with every `finish_group`, so that a marker of an earlier group is recognized.
  uint64_t number() const noexcept { return number_; }

  bool empty() const noexcept { return entries_.empty(); }
  /// Requests in it, those that wait for the lock included.
  size_t size() const noexcept { return entries_.size(); }

private:
  struct entry {
    write_request request;
    reply<write_result> to;
    lock_wait wait;
    /// When its wait was over, because it was executed or refused; what of the wait was for an external process's lock;
    /// and how long the execution took. Of the last execution, if there were several.
    clock::steady began{};
    std::chrono::nanoseconds locked_out{0};
    std::chrono::nanoseconds executed{0};
    // Of all its executions.
    std::chrono::nanoseconds executed_in_all{0};
    std::optional<write_result> result;
    std::optional<failure> error;
    table_set tables;
    bool schema_changed = false;
    bool is_bounded = false;

    bool failed() const noexcept { return error.has_value(); }
    bool is_waiting() const noexcept { return !error && !result; }
    /// Executed in the open transaction, and has to be in its commit record.
    bool applied() const noexcept { return !error && result && !result->replayed; }
    /// Repeats a commit older than the open transaction `seq`, whose fate cannot change it.
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

  // The transaction is open and holds what was executed of `whole`. Afterwards it is open and holds `part` too, or
  // everything in `whole` has failed or waits for the lock.
  bool execute(range part, range whole);
  void execute(entry& write);
  void run(entry& write);
  std::optional<failure> why_not(const entry& write) const;
  bool begin_again(range part);
  void undo(range part);

  // The transaction is open and `part` executed in it; afterwards nothing is open and each entry has its outcome, or
  // waits for the lock.
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
  // The clock as it was last read: the end of one thing is the beginning of the next, and reading it costs.
  clock::steady now_{};
  clock::steady opened_at_{};
  uint64_t next_seq_ = 0;
  // The epoch that the open transaction begins, and the records about those that were begun.
  std::string new_epoch_;
  std::vector<audit_record> epochs_;
  uint64_t number_ = 1;
  bool external_commit_ = false;
  std::vector<finished_group::change> changes_;
  request_ids ids_;
};

} // namespace sluice
