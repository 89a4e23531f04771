#include "actors/writer/group_commit.hpp"

#include <algorithm>

namespace sluice {

namespace {

using nanoseconds = std::chrono::nanoseconds;

void add_tables(std::vector<std::string>& to, const table_set& tables) {
  if (!tables)
    return;
  for (const auto& table : *tables)
    if (std::find(to.begin(), to.end(), table) == to.end())
      to.push_back(table);
}

uint64_t microseconds(nanoseconds x) noexcept { return static_cast<uint64_t>(std::max<int64_t>(x.count() / 1'000, 0)); }

} // namespace

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
  commit_window window{context_.versions(), tables, everything};
  auto begin = time_.now();
  auto done = store_.commit(next_seq_, wall_us(time_), record);
  context_.timings().commit.add(time_.now() - begin);
  auto happened = done ? caf::expected<bool>{true} : store_.committed(next_seq_);
  if (happened && *happened)
    window.committed(next_seq_);
  window.close();
  if (!happened) {
    auto why = describe(done.error());
    why.outcome = outcome::unknown;
    why.message += "; whether the commit took effect, or will after a crash, is not known";
    everything_may_have_changed();
    return fail_live(which, why);
  }
  if (!*happened)
    return commit_failed(which, describe(done.error()));
  context_.counters().commits.fetch_add(1, std::memory_order_relaxed);
  if (!new_epoch_.empty())
    note_new_epoch();
  changes_.push_back({context_.name(), next_seq_, std::move(tables), everything});
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
    if (x.began == clock::steady{})
      end_wait(x);
  }
}

group_commit::finished_group group_commit::finish_group() {
  finished_group result;
  if (open_)
    commit({0, entries_.size()});
  ++number_;
  now_ = time_.now();
  auto ts = wall_us(time_);
  auto events = store_.take_file_events();
  // Whoever opened the file while its log was away saw another content, and may have committed to that.
  if (!events.empty())
    note_late_commit();
  result.changes = std::exchange(changes_, {});
  result.records.records = std::exchange(epochs_, {});
  if (std::exchange(foreign_commit_, false))
    result.records.records.push_back(record_of(request_type::foreign_commit, "ok", ts));
  for (auto& event : events) {
    context_.counters().file_events.fetch_add(1, std::memory_order_relaxed);
    result.records.records.push_back(record_of(request_type::file_event, event.what, ts));
    result.warnings.push_back(context_.name() + ": " + std::move(event.text));
  }
  if (opened_at_ != clock::steady{})
    result.busy = now_ - std::exchange(opened_at_, clock::steady{});
  result.writes.reserve(entries_.size());
  result.records.records.reserve(result.records.records.size() + entries_.size());
  std::vector<entry> waiting;
  for (auto& x : entries_)
    if (x.failed() || x.result)
      finish_request(x, ts, result);
    else
      waiting.push_back(std::move(x));
  entries_ = std::move(waiting);
  return result;
}

void group_commit::finish_request(entry& x, int64_t ts_us, finished_group& into) {
  // The record says what its client was told.
  if (x.failed() && x.request.ticket && !x.request.ticket->finish())
    x.error = x.request.ticket->reason();
  if (x.failed())
    x.error->request_id = x.request.request_id;
  context_.timings().queue.add(x.began - x.request.received - x.locked_out);
  context_.timings().execution.add(x.executed);
  const auto& record = into.records.records.emplace_back(record_of(x, ts_us));
  if (slow_.notable(now_ - x.request.received))
    into.slow.emplace_back(timing_of(x, record), std::move(x.request.statements));
  auto verdict = x.failed() ? caf::expected<write_result>{make_error(std::move(*x.error))}
                            : caf::expected<write_result>{std::move(*x.result)};
  into.writes.push_back(
    {std::move(x.to), std::move(verdict), std::move(x.request.agent), x.executed_in_all, std::move(x.request.ticket)});
}

slow_request group_commit::timing_of(const entry& x, const audit_record& record) const {
  slow_request r;
  r.ts_us = record.ts_us;
  r.request_id = record.request_id;
  r.agent = record.agent;
  r.db = record.db;
  r.operation = to_string(record.type);
  r.sql = shown_sql(x.request.statements);
  r.status = x.failed() ? record.status : "ok";
  r.total_us = record.latency_us;
  r.queue_us = microseconds(x.began - x.request.received - x.locked_out);
  r.lock_us = microseconds(x.locked_out);
  r.execute_us = microseconds(x.executed);
  // What was never in a commit did not wait for one; what failed in between waited for the end of its group.
  r.commit_us = r.total_us - std::min(r.total_us, r.queue_us + r.lock_us + r.execute_us);
  return r;
}

audit_record group_commit::record_of(request_type type, std::string_view status, int64_t ts_us) const {
  audit_record r;
  r.ts_us = ts_us;
  r.db = context_.name();
  r.type = type;
  r.status = status;
  return r;
}

audit_record group_commit::record_of(entry& x, int64_t ts_us) const {
  audit_record r;
  r.ts_us = ts_us;
  r.request_id = std::move(x.request.request_id);
  r.agent = x.request.agent;
  r.db = context_.name();
  r.type = request_type::write;
  r.key = std::move(x.request.idempotency_key);
  auto latency = std::chrono::duration_cast<std::chrono::microseconds>(now_ - x.request.received);
  r.latency_us = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
  r.correlation_id = std::move(x.request.correlation_id);
  r.peer = x.request.peer;
  auto& counters = context_.counters();
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

void group_commit::note_new_epoch() {
  auto& x = epochs_.emplace_back();
  x.ts_us = wall_us(time_);
  x.db = context_.name();
  x.type = request_type::ledger_epoch;
  x.key = std::exchange(new_epoch_, {});
  context_.know_epoch(x.key);
  x.status = "ok";
  x.commit_seq = next_seq_;
}

void group_commit::note_foreign_commit() {
  foreign_commit_ = true;
  context_.counters().foreign_commits.fetch_add(1, std::memory_order_relaxed);
  note_late_commit();
}

void group_commit::note_late_commit() {
  context_.versions().raise_everything();
  everything_may_have_changed();
}

void group_commit::everything_may_have_changed() { changes_.push_back({context_.name(), 0, {}, true}); }

void group_commit::look_for_foreign_commit() {
  if (open_ || backing_off_)
    return;
  if (!store_.is_open()) {
    if (store_.take_external_commit())
      note_foreign_commit();
    return;
  }
  if (auto begun = store_.begin(); begun && begun->foreign_commit)
    note_foreign_commit();
  store_.rollback();
}

} // namespace sluice
