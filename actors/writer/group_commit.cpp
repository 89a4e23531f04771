#include "actors/writer/group_commit.hpp"

#include <algorithm>
#include <cassert>

namespace sluice {

namespace {

using namespace std::chrono_literals;
using next_action = group_commit::step::action;

// Other errors with this code, such as a lack of descriptors, have a `retry_after_ms`.
bool is_lock_error(const failure& why) { return why.code == errc::busy && why.retry_after_ms == 0; }

} // namespace

group_commit::group_commit(write_store& store, database_context& context, const clock& time, group_settings settings,
                           uint64_t seed, const slow_requests& slow)
  : store_(store), context_(context), time_(time), settings_(settings), slow_(slow), lock_(settings.retry, seed),
    ids_(seed) {}

group_commit::entry& group_commit::take_in(write_request request, reply<write_result> to) {
  now_ = time_.now();
  auto& write = entries_.emplace_back();
  write.request = std::move(request);
  write.to = std::move(to);
  if (write.request.received == clock::steady{})
    write.request.received = now_;
  if (write.request.request_id.empty())
    write.request.request_id = ids_.next();
  write.wait.deadline =
    write.request.received + (write.request.deadline.count() > 0 ? write.request.deadline : settings_.default_deadline);
  return write;
}

group_commit::step group_commit::add(write_request request, reply<write_result> to) {
  auto& write = take_in(std::move(request), std::move(to));
  if (lock_.is_pausing())
    // The request's own deadline may pass before the next attempt to get the lock.
    return write.wait.deadline < lock_.retry_at() ? step{next_action::expire, milliseconds_until(write.wait.deadline)}
                                                  : step{};
  if (!open_)
    return begin();
  auto last = entries_.size() - 1;
  if (!execute({last, last + 1}, {0, last + 1}))
    return {next_action::finish_group};
  return full_or(next_action::wait);
}

group_commit::step group_commit::refuse(write_request request, reply<write_result> to, const failure& why) {
  auto& write = take_in(std::move(request), std::move(to));
  end_wait(write);
  write.error = why;
  return {next_action::finish_group};
}

group_commit::step group_commit::expire() {
  if (!lock_.is_pausing())
    return {};
  now_ = time_.now();
  auto finished = false;
  for (auto& write : entries_)
    if (write.is_waiting() && now_ >= write.wait.deadline) {
      give_up(write);
      finished = true;
    }
  return finished ? step{next_action::finish_group} : step{};
}

void group_commit::refuse_waiting(const failure& why) {
  if (!lock_.end_pause())
    return;
  now_ = time_.now();
  fail_live({0, entries_.size()}, why);
}

std::chrono::milliseconds group_commit::milliseconds_until(clock::steady at) const {
  return std::max(0ms, std::chrono::duration_cast<std::chrono::milliseconds>(at - time_.now()) + 1ms);
}

group_commit::step group_commit::retry() {
  if (!lock_.end_pause())
    return {};
  context_.retries().retry();
  return begin();
}

group_commit::step group_commit::begin() {
  auto before_ask = now_ = time_.now();
  lock_.ask(before_ask);
  auto was_open = store_.is_open();
  auto begun = ask_for_lock();
  auto why = begun ? failure{} : describe(begun.error());
  if (why.code == errc::busy)
    return lock_refused(why);
  auto waited = lock_.waited(now_);
  // Opening the file takes time, too, but is no wait for the lock.
  lock_.end(was_open ? now_ : before_ask);
  if (!begun) {
    fail_live({0, entries_.size()}, why);
    return {next_action::finish_group};
  }
  auto waiters =
    std::count_if(entries_.begin(), entries_.end(), [](const entry& write) { return write.wait.refusals > 0; });
  if (waiters > 0)
    context_.retries().succeeded(static_cast<uint64_t>(waiters), waited);
  open_ = true;
  opened_at_ = now_;
  next_seq_ = begun->next_seq;
  new_epoch_ = std::move(begun->new_epoch);
  auto known = context_.versions().last_commit();
  if (known > begun->last_seq)
    context_.know_issued(known);
  context_.versions().start_at(begun->last_seq);
  if (begun->external_commit)
    note_external_commit();
  else if (known != begun->last_seq)
    // A commit with an unknown outcome has turned out to be in the ledger.
    note_late_commit();
  auto whole = range{0, entries_.size()};
  if (!execute(whole, whole))
    return {next_action::finish_group};
  return full_or(next_action::mark);
}

caf::expected<begun_transaction> group_commit::ask_for_lock() {
  store_.wait_at_most(time_for_lock());
  auto begun = store_.begin();
  now_ = time_.now();
  context_.retries().attempt(time_, !begun && is_lock_error(describe(begun.error())));
  return begun;
}

// SQLite's own wait must not outlast the first deadline of the requests that need the lock.
std::chrono::milliseconds group_commit::time_for_lock() const {
  auto earliest = clock::steady::max();
  auto is_first_try_of_short_ones = true;
  for (const auto& write : entries_) {
    if (!write.is_waiting())
      continue;
    earliest = std::min(earliest, write.wait.deadline);
    is_first_try_of_short_ones = is_first_try_of_short_ones && write.request.is_short && write.wait.refusals == 0;
  }
  // The thread that runs this has other duties; a thread that may wait makes the next attempt.
  if (is_first_try_of_short_ones)
    return 0ms;
  return std::max(0ms, std::chrono::duration_cast<std::chrono::milliseconds>(earliest - now_));
}

group_commit::step group_commit::lock_refused(const failure& why) {
  std::vector<lock_wait*> waiting;
  for (auto& write : entries_)
    if (write.is_waiting())
      waiting.push_back(&write.wait);
  auto given_up = lock_.refused(why, waiting, now_);
  // `given_up` has the same order.
  auto next = given_up.begin();
  for (auto& write : entries_)
    if (next != given_up.end() && *next == &write.wait) {
      give_up(write);
      ++next;
    }
  // Requests that gave up are answered before the pause.
  return given_up.empty() ? after_group() : step{next_action::finish_group};
}

group_commit::step group_commit::after_group() const {
  return lock_.is_pausing() ? step{next_action::retry, lock_.pause()} : step{};
}

void group_commit::give_up(entry& write) {
  end_wait(write);
  write.error = lock_.error_of(write.wait, write.request.received, now_);
  context_.retries().gave_up(std::chrono::milliseconds{write.error->waited_ms});
}

void group_commit::end_wait(entry& write) const {
  write.began = now_;
  write.executed = std::chrono::nanoseconds{0};
  write.locked_out = lock_.time_locked_out(write.request.received, now_);
}

group_commit::step group_commit::full_or(next_action otherwise) const {
  auto full = entries_.size() >= settings_.max_requests || now_ - opened_at_ >= settings_.max_time;
  return {full ? next_action::finish_full_group : otherwise};
}

bool group_commit::execute(range part, range whole) {
  assert(open_);
  auto i = part.first;
  while (i < part.second) {
    auto& write = entries_[i++];
    if (!write.is_waiting())
      continue;
    execute(write);
    if (store_.in_transaction())
      continue;
    // The request has made the group lose its transaction: the other requests run again without it.
    if (!begin_again(whole))
      return false;
    i = whole.first;
  }
  return true;
}

void group_commit::execute(entry& write) {
  end_wait(write);
  run(write);
  now_ = time_.now();
  write.executed = now_ - write.began;
  if (write.applied())
    context_.short_writes().note(write.request, write.executed, write.is_bounded);
  write.executed_in_all += write.executed;
}

// The error if the request must not be executed any more; else nothing.
std::optional<failure> group_commit::expiry_error(const entry& write) const {
  if (write.request.ticket && !write.request.ticket->begin())
    return write.request.ticket->reason();
  if (write.request.cancel.cancelled())
    return make_failure(errc::cancelled, "its client gave the request up before it was executed");
  if (now_ < write.wait.deadline)
    return std::nullopt;
  return make_failure(errc::deadline_exceeded, "the deadline passed while the request waited; it was not executed");
}

void group_commit::run(entry& write) {
  write.error = expiry_error(write);
  if (write.error)
    return;
  auto fail = [&](const caf::error& why) {
    write.result.reset();
    write.error = describe(why);
  };
  assert(store_.in_transaction());
  // The number of a migration is a key, too.
  auto keyed = !write.request.idempotency_key.empty() || write.request.migration;
  if (keyed) {
    auto first = store_.recall(write.request);
    if (!first)
      return fail(first.error());
    if (*first) {
      write.result = std::move(**first);
      return;
    }
  }
  auto executed = store_.execute(write.request, write.wait.deadline);
  if (auto* ticket = write.request.ticket.get(); ticket && ticket->interrupted()) {
    write.error = ticket->reason();
    // The request was executed just before its deadline or interrupt.
    if (executed)
      store_.rollback();
    return;
  }
  if (!executed)
    return fail(executed.error());
  write.tables = executed->tables;
  write.schema_changed = executed->schema_changed;
  write.is_bounded = executed->is_bounded;
  write.result.emplace();
  write.result->commit_seq = next_seq_;
  write.result->request_id = write.request.request_id;
  write.result->results = std::move(executed->results);
  if (!keyed)
    return;
  if (auto kept = store_.remember(write.request, *write.result); !kept) {
    fail(kept.error());
    // The statements took effect but the key or the row was not stored: only a rollback undoes them.
    store_.rollback();
  }
}

bool group_commit::begin_again(range part) {
  store_.rollback();
  open_ = false;
  undo(part);
  auto begun = ask_for_lock();
  if (!begun) {
    auto why = describe(begun.error());
    if (why.code == errc::busy)
      lock_refused(why);
    else
      fail_live(part, why);
    return false;
  }
  open_ = true;
  next_seq_ = begun->next_seq;
  new_epoch_ = std::move(begun->new_epoch);
  if (begun->external_commit)
    note_external_commit();
  return true;
}

void group_commit::undo(range part) {
  for (auto i = part.first; i < part.second; ++i)
    if (auto& write = entries_[i]; !write.failed() && !write.durable_before(next_seq_))
      write.result.reset();
}

} // namespace sluice
