#include "actors/group_commit.hpp"

#include <algorithm>

namespace sluice {

namespace {

using namespace std::chrono_literals;
using action = group_commit::step::action;

void add_tables(std::vector<std::string>& to, const table_set& tables) {
  if (!tables)
    return;
  for (const auto& table : *tables)
    if (std::find(to.begin(), to.end(), table) == to.end())
      to.push_back(table);
}

} // namespace

group_commit::group_commit(write_store& store, database_slot& slot, const clock& time, group_settings settings,
                           uint64_t seed)
  : store_(store), slot_(slot), time_(time), settings_(settings), backoff_(settings.retry, seed), ids_(seed) {}

group_commit::step group_commit::add(write_request request, reply<write_result> to) {
  auto now = time_.now();
  auto& x = entries_.emplace_back();
  x.bytes = footprint(request);
  x.request = std::move(request);
  x.to = std::move(to);
  if (x.request.received == clock::steady{})
    x.request.received = now;
  if (x.request.request_id.empty())
    x.request.request_id = ids_.next();
  x.deadline = x.request.received + (x.request.deadline.count() > 0 ? x.request.deadline : settings_.default_deadline);
  if (backing_off_)
    // Its own time may be up before the lock is asked for again.
    return x.deadline < retry_at_ ? step{action::expire, milliseconds_until(x.deadline)} : step{};
  if (!open_)
    return begin();
  auto last = entries_.size() - 1;
  if (!execute({last, last + 1}, {0, last + 1}))
    return {action::settle};
  return full_or(action::wait);
}

group_commit::step group_commit::expire() {
  if (!backing_off_)
    return {};
  auto now = time_.now();
  auto settled = false;
  for (auto& x : entries_)
    if (!x.failed() && !x.result && now >= x.deadline) {
      give_up(x, {});
      settled = true;
    }
  return settled ? step{action::settle} : step{};
}

void group_commit::refuse_waiting(const failure& why) {
  if (std::exchange(backing_off_, false))
    fail_live({0, entries_.size()}, why);
}

std::chrono::milliseconds group_commit::milliseconds_until(clock::steady at) const {
  return std::max(0ms, std::chrono::duration_cast<std::chrono::milliseconds>(at - time_.now()) + 1ms);
}

group_commit::step group_commit::retry() {
  if (!backing_off_)
    return {};
  backing_off_ = false;
  slot_.retries().retry();
  return begin();
}

group_commit::step group_commit::begin() {
  if (waiting_since_ == clock::steady{})
    waiting_since_ = time_.now();
  auto begun = ask_for_lock();
  auto why = begun ? failure{} : describe(begun.error());
  if (why.code == errc::busy)
    return begin_refused(why);
  auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(time_.now() - waiting_since_);
  waiting_since_ = {};
  if (!begun) {
    fail_live({0, entries_.size()}, why);
    return {action::settle};
  }
  auto waiters = std::count_if(entries_.begin(), entries_.end(), [](const entry& x) { return x.refusals > 0; });
  if (waiters > 0)
    slot_.retries().succeeded(static_cast<uint64_t>(waiters), waited);
  open_ = true;
  opened_at_ = time_.now();
  next_seq_ = begun->next_seq;
  slot_.versions().start_at(next_seq_ - 1);
  if (begun->foreign_commit)
    note_foreign_commit();
  auto whole = range{0, entries_.size()};
  if (!execute(whole, whole))
    return {action::settle};
  return full_or(action::mark);
}

caf::expected<begun_transaction> group_commit::ask_for_lock() {
  auto begun = store_.begin();
  slot_.retries().attempt(time_, !begun && code_of(begun.error()) == errc::busy);
  return begun;
}

group_commit::step group_commit::begin_refused(const failure& why) {
  auto now = time_.now();
  if (waiting_since_ == clock::steady{})
    waiting_since_ = now;
  uint64_t least_refusals = settings_.retry.attempts;
  auto earliest = clock::steady::max();
  auto settled = false;
  for (auto& x : entries_) {
    if (x.failed() || x.result)
      continue;
    if (++x.refusals > settings_.retry.attempts || now >= x.deadline) {
      give_up(x, why);
      settled = true;
      continue;
    }
    least_refusals = std::min(least_refusals, x.refusals);
    earliest = std::min(earliest, x.deadline);
  }
  backing_off_ = earliest != clock::steady::max();
  if (!backing_off_)
    waiting_since_ = {};
  else
    pause_ = std::min(backoff_.pause(least_refusals), milliseconds_until(earliest));
  retry_at_ = now + pause_;
  // Those who gave up are answered before the pause.
  return settled ? step{action::settle} : after_settling();
}

group_commit::step group_commit::after_settling() const { return backing_off_ ? step{action::retry, pause_} : step{}; }

void group_commit::give_up(entry& x, const failure& why) {
  auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(time_.now() - x.request.received);
  x.error = why;
  x.error->code = errc::busy;
  x.error->attempts = static_cast<uint32_t>(x.refusals);
  x.error->waited_ms = static_cast<uint32_t>(std::max<int64_t>(waited.count(), 0));
  x.error->message = "a process outside the broker holds the lock of this database; asked " + std::to_string(x.refusals)
                     + " times in " + std::to_string(waited.count()) + " ms";
  slot_.retries().gave_up(waited);
}

group_commit::step group_commit::full_or(action otherwise) const {
  auto full = entries_.size() >= settings_.max_requests || time_.now() - opened_at_ >= settings_.max_time;
  return {full ? action::settle : otherwise};
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
  if (time_.now() >= x.deadline) {
    x.error.emplace();
    x.error->code = errc::deadline_exceeded;
    x.error->message = "the deadline passed while the request waited; it was not executed";
    return;
  }
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
  if (begun->foreign_commit)
    note_foreign_commit();
  return true;
}

void group_commit::undo(range which) {
  for (auto i = which.first; i < which.second; ++i)
    if (auto& x = entries_[i]; !x.failed() && !x.durable_before(next_seq_))
      x.result.reset();
}

void group_commit::commit(range which) {
  std::vector<ledger_entry> record;
  std::vector<std::string> tables;
  auto everything = false;
  for (auto i = which.first; i < which.second; ++i) {
    auto& x = entries_[i];
    if (x.failed() || x.durable_before(next_seq_))
      continue;
    x.to.now_in_doubt();
    if (!x.applied())
      continue;
    record.push_back({&x.request, &*x.result, x.tables});
    add_tables(tables, x.tables);
    everything |= x.schema_changed;
  }
  open_ = false;
  if (record.empty())
    return store_.rollback();
  commit_window window{slot_.versions(), tables, everything};
  auto done = store_.commit(next_seq_, wall_us(time_), record);
  auto happened = done ? caf::expected<bool>{true} : store_.committed(next_seq_);
  if (happened && *happened)
    window.committed(next_seq_);
  window.close();
  if (!happened) {
    auto why = describe(done.error());
    why.outcome = outcome::unknown;
    why.message += "; whether the commit took effect could not be read back";
    everything_may_have_changed();
    return fail_live(which, why);
  }
  if (!*happened)
    return commit_failed(which, describe(done.error()));
  slot_.counters().commits.fetch_add(1, std::memory_order_relaxed);
  changes_.push_back({slot_.name(), next_seq_, std::move(tables), everything});
}

void group_commit::commit_failed(range which, const failure& why) {
  auto live =
    std::count_if(entries_.begin() + static_cast<ptrdiff_t>(which.first),
                  entries_.begin() + static_cast<ptrdiff_t>(which.second), [](const entry& x) { return x.applied(); });
  if (live <= 1)
    return fail_live(which, why);
  undo(which);
  auto middle = which.first + (which.second - which.first) / 2;
  for (auto half : {range{which.first, middle}, range{middle, which.second}})
    // Once the lock is refused, what is left waits for it, lest the halves change places.
    if (!backing_off_ && begin_again(half) && execute(half, half))
      commit(half);
}

void group_commit::fail_live(range which, const failure& why) {
  for (auto i = which.first; i < which.second; ++i) {
    auto& x = entries_[i];
    if (x.failed() || x.durable_before(next_seq_))
      continue;
    x.result.reset();
    x.error = why;
  }
}

group_commit::settlement group_commit::settle() {
  settlement result;
  if (open_)
    commit({0, entries_.size()});
  ++number_;
  auto now = time_.now();
  auto ts = wall_us(time_);
  result.changes = std::exchange(changes_, {});
  if (std::exchange(foreign_commit_, false)) {
    audit_record x;
    x.ts_us = ts;
    x.db = slot_.name();
    x.type = request_type::foreign_commit;
    x.status = "ok";
    result.records.records.push_back(std::move(x));
  }
  if (opened_at_ != clock::steady{})
    result.busy = now - std::exchange(opened_at_, clock::steady{});
  result.writes.reserve(entries_.size());
  result.records.records.reserve(entries_.size() + 1);
  std::vector<entry> waiting;
  for (auto& x : entries_) {
    if (!x.failed() && !x.result) {
      waiting.push_back(std::move(x));
      continue;
    }
    if (x.failed())
      x.error->request_id = x.request.request_id;
    result.records.records.push_back(record_of(x, ts, now));
    auto verdict = x.failed() ? caf::expected<write_result>{make_error(std::move(*x.error))}
                              : caf::expected<write_result>{std::move(*x.result)};
    result.writes.push_back({std::move(x.to), std::move(verdict), std::move(x.request.agent), x.bytes});
  }
  entries_ = std::move(waiting);
  return result;
}

audit_record group_commit::record_of(entry& x, int64_t ts_us, clock::steady at) const {
  audit_record r;
  r.ts_us = ts_us;
  r.request_id = std::move(x.request.request_id);
  r.agent = x.request.agent;
  r.db = slot_.name();
  r.type = request_type::write;
  r.key = std::move(x.request.idempotency_key);
  auto latency = std::chrono::duration_cast<std::chrono::microseconds>(at - x.request.received);
  r.latency_us = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
  r.correlation_id = std::move(x.request.correlation_id);
  r.peer = x.request.peer;
  auto& counters = slot_.counters();
  if (x.failed()) {
    r.status = to_string(x.error->code);
    counters.failed_requests.fetch_add(1, std::memory_order_relaxed);
    return r;
  }
  r.status = x.result->replayed ? "replayed" : "committed";
  r.commit_seq = x.result->commit_seq;
  r.tables = x.result->replayed ? nullptr : x.tables;
  auto& counter = x.result->replayed ? counters.replayed_requests : counters.committed_requests;
  counter.fetch_add(1, std::memory_order_relaxed);
  return r;
}

void group_commit::note_foreign_commit() {
  foreign_commit_ = true;
  slot_.counters().foreign_commits.fetch_add(1, std::memory_order_relaxed);
  slot_.versions().raise_everything();
  everything_may_have_changed();
}

void group_commit::everything_may_have_changed() { changes_.push_back({slot_.name(), 0, {}, true}); }

void group_commit::look_for_foreign_commit() {
  if (open_ || backing_off_)
    return;
  if (!store_.is_open())
    // Without a writer's connection there are no commits but foreign ones.
    return note_foreign_commit();
  if (auto begun = store_.begin(); begun && begun->foreign_commit)
    note_foreign_commit();
  store_.rollback();
}

} // namespace sluice
