#include "actors/writer/group_commit.hpp"

#include <algorithm>

namespace sluice {

namespace {

using namespace std::chrono_literals;
using next_action = group_commit::step::action;

// What BEGIN takes when nobody is in the way is no wait.
constexpr auto least_wait = 1ms;

// What else is waited for in the same way, as descriptors are, says when to try again.
bool is_lock_error(const failure& why) { return why.code == errc::busy && why.retry_after_ms == 0; }

} // namespace

group_commit::group_commit(write_store& store, database_context& context, const clock& time, group_settings settings,
                           uint64_t seed, const slow_requests& slow)
  : store_(store), context_(context), time_(time), settings_(settings), slow_(slow), backoff_(settings.retry, seed),
    ids_(seed) {}

group_commit::entry& group_commit::take_in(write_request request, reply<write_result> to) {
  now_ = time_.now();
  auto& x = entries_.emplace_back();
  x.request = std::move(request);
  x.to = std::move(to);
  if (x.request.received == clock::steady{})
    x.request.received = now_;
  if (x.request.request_id.empty())
    x.request.request_id = ids_.next();
  x.deadline = x.request.received + (x.request.deadline.count() > 0 ? x.request.deadline : settings_.default_deadline);
  return x;
}

group_commit::step group_commit::add(write_request request, reply<write_result> to) {
  auto& x = take_in(std::move(request), std::move(to));
  if (backing_off_)
    // Its own time may be up before the lock is asked for again.
    return x.deadline < retry_at_ ? step{next_action::expire, milliseconds_until(x.deadline)} : step{};
  if (!open_)
    return begin();
  auto last = entries_.size() - 1;
  if (!execute({last, last + 1}, {0, last + 1}))
    return {next_action::finish_group};
  return full_or(next_action::wait);
}

group_commit::step group_commit::refuse(write_request request, reply<write_result> to, const failure& why) {
  auto& x = take_in(std::move(request), std::move(to));
  end_wait(x);
  x.error = why;
  return {next_action::finish_group};
}

group_commit::step group_commit::expire() {
  if (!backing_off_)
    return {};
  now_ = time_.now();
  auto finished = false;
  for (auto& x : entries_)
    if (!x.failed() && !x.result && now_ >= x.deadline) {
      give_up(x, refusal_);
      finished = true;
    }
  return finished ? step{next_action::finish_group} : step{};
}

void group_commit::refuse_waiting(const failure& why) {
  if (!std::exchange(backing_off_, false))
    return;
  now_ = time_.now();
  fail_live({0, entries_.size()}, why);
}

std::chrono::milliseconds group_commit::milliseconds_until(clock::steady at) const {
  return std::max(0ms, std::chrono::duration_cast<std::chrono::milliseconds>(at - time_.now()) + 1ms);
}

group_commit::step group_commit::retry() {
  if (!backing_off_)
    return {};
  backing_off_ = false;
  context_.retries().retry();
  return begin();
}

group_commit::step group_commit::begin() {
  auto asked = now_ = time_.now();
  if (waiting_since_ == clock::steady{})
    waiting_since_ = asked;
  auto was_open = store_.is_open();
  auto begun = ask_for_lock();
  auto why = begun ? failure{} : describe(begun.error());
  if (why.code == errc::busy)
    return begin_refused(why);
  auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - waiting_since_);
  // Opening the file takes its time as well, and is no wait for anybody.
  end_wait_for_lock(was_open ? now_ : asked);
  if (!begun) {
    fail_live({0, entries_.size()}, why);
    return {next_action::finish_group};
  }
  auto waiters = std::count_if(entries_.begin(), entries_.end(), [](const entry& x) { return x.refusals > 0; });
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
  if (begun->foreign_commit)
    note_foreign_commit();
  else if (known != begun->last_seq)
    // A commit whose fate was unknown has turned out to be one.
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

// SQLite's own wait must not outlast the first deadline among those who need the lock.
std::chrono::milliseconds group_commit::time_for_lock() const {
  auto earliest = clock::steady::max();
  for (const auto& x : entries_)
    if (!x.failed() && !x.result)
      earliest = std::min(earliest, x.deadline);
  return std::max(0ms, std::chrono::duration_cast<std::chrono::milliseconds>(earliest - now_));
}

void group_commit::end_wait_for_lock(clock::steady until) {
  locked_out_since_ = std::exchange(waiting_since_, clock::steady{});
  locked_out_until_ = until;
}

void group_commit::end_wait(entry& x) const {
  auto waits = waiting_since_ != clock::steady{};
  auto since = std::max(waits ? waiting_since_ : locked_out_since_, x.request.received);
  auto wait = (waits ? now_ : locked_out_until_) - since;
  x.began = now_;
  x.executed = std::chrono::nanoseconds{0};
  x.locked_out = wait >= least_wait ? wait : std::chrono::nanoseconds{0};
}

group_commit::step group_commit::begin_refused(const failure& why) {
  if (waiting_since_ == clock::steady{})
    waiting_since_ = now_;
  refusal_ = why;
  // Those who have waited for so many pauses wait for equal ones.
  uint64_t least_refusals = settings_.retry.attempts;
  auto earliest = clock::steady::max();
  auto finished = false;
  for (auto& x : entries_) {
    if (x.failed() || x.result)
      continue;
    ++x.refusals;
    if (settings_.retry.attempts == 0 || now_ >= x.deadline) {
      give_up(x, why);
      finished = true;
      continue;
    }
    least_refusals = std::min(least_refusals, x.refusals);
    earliest = std::min(earliest, x.deadline);
  }
  backing_off_ = earliest != clock::steady::max();
  if (!backing_off_)
    end_wait_for_lock(now_);
  else
    pause_ = std::min(backoff_.pause(least_refusals), milliseconds_until(earliest));
  retry_at_ = now_ + pause_;
  // Those who gave up are answered before the pause.
  return finished ? step{next_action::finish_group} : after_group();
}

group_commit::step group_commit::after_group() const {
  return backing_off_ ? step{next_action::retry, pause_} : step{};
}

void group_commit::give_up(entry& x, const failure& why) {
  end_wait(x);
  auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - x.request.received);
  x.error = why;
  x.error->code = errc::busy;
  x.error->attempts = static_cast<uint32_t>(x.refusals);
  x.error->waited_ms = static_cast<uint32_t>(std::max<int64_t>(waited.count(), 0));
  x.error->message += "; asked " + std::to_string(x.refusals) + " times in " + std::to_string(waited.count()) + " ms";
  context_.retries().gave_up(waited);
}

group_commit::step group_commit::full_or(next_action otherwise) const {
  auto full = entries_.size() >= settings_.max_requests || now_ - opened_at_ >= settings_.max_time;
  return {full ? next_action::finish_full_group : otherwise};
}

bool group_commit::execute(range which, range whole) {
  auto i = which.first;
  while (i < which.second) {
    auto& x = entries_[i++];
    if (x.failed() || x.result)
      continue;
    execute(x);
    if (store_.in_transaction())
      continue;
    // The transaction went down with this request: the others run again without it.
    if (!begin_again(whole))
      return false;
    i = whole.first;
  }
  return true;
}

void group_commit::execute(entry& x) {
  end_wait(x);
  run(x);
  now_ = time_.now();
  x.executed = now_ - x.began;
  x.executed_in_all += x.executed;
}

// Why it is not to be executed any more; nothing if it is.
std::optional<failure> group_commit::why_not(const entry& x) const {
  if (x.request.ticket && !x.request.ticket->begin())
    return x.request.ticket->reason();
  if (x.request.cancel.cancelled())
    return make_failure(errc::cancelled, "its client gave the request up before it was executed");
  if (now_ < x.deadline)
    return std::nullopt;
  return make_failure(errc::deadline_exceeded, "the deadline passed while the request waited; it was not executed");
}

void group_commit::run(entry& x) {
  x.error = why_not(x);
  if (x.error)
    return;
  auto fail = [&](const caf::error& why) {
    x.result.reset();
    x.error = describe(why);
  };
  auto keyed = !x.request.idempotency_key.empty();
  if (keyed) {
    auto first = store_.recall(x.request);
    if (!first)
      return fail(first.error());
    if (*first) {
      x.result = std::move(**first);
      return;
    }
  }
  auto executed = store_.execute(x.request, x.deadline);
  if (auto* ticket = x.request.ticket.get(); ticket && ticket->interrupted()) {
    x.error = ticket->reason();
    // It may have been done just before.
    if (executed)
      store_.rollback();
    return;
  }
  if (!executed)
    return fail(executed.error());
  x.tables = executed->tables;
  x.schema_changed = executed->schema_changed;
  x.result.emplace();
  x.result->commit_seq = next_seq_;
  x.result->request_id = x.request.request_id;
  x.result->results = std::move(executed->results);
  if (!keyed)
    return;
  if (auto kept = store_.remember(x.request, *x.result); !kept) {
    fail(kept.error());
    // Its statements took effect but its key did not: nothing but losing the transaction undoes them.
    store_.rollback();
  }
}

bool group_commit::begin_again(range which) {
  store_.rollback();
  open_ = false;
  undo(which);
  auto begun = ask_for_lock();
  if (!begun) {
    auto why = describe(begun.error());
    if (why.code == errc::busy)
      begin_refused(why);
    else
      fail_live(which, why);
    return false;
  }
  open_ = true;
  next_seq_ = begun->next_seq;
  new_epoch_ = std::move(begun->new_epoch);
  if (begun->foreign_commit)
    note_foreign_commit();
  return true;
}

void group_commit::undo(range which) {
  for (auto i = which.first; i < which.second; ++i)
    if (auto& x = entries_[i]; !x.failed() && !x.durable_before(next_seq_))
      x.result.reset();
}

} // namespace sluice
