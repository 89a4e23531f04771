#include "actors/writer/group_commit.hpp"

#include <algorithm>
#include <cassert>

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

uint64_t microseconds(nanoseconds time) noexcept {
  return static_cast<uint64_t>(std::max<int64_t>(time.count() / 1'000, 0));
}

} // namespace

void group_commit::commit(range part) {
  assert(open_);
  std::vector<ledger_entry> record;
  std::vector<std::string> tables;
  auto everything = false;
  for (auto i = part.first; i < part.second; ++i) {
    auto& write = entries_[i];
    if (write.failed() || write.durable_before(next_seq_))
      continue;
    write.to.mark_unknown();
    if (!write.applied())
      continue;
    record.push_back({&write.request, &*write.result, write.tables});
    add_tables(tables, write.tables);
    everything |= write.schema_changed;
  }
  open_ = false;
  if (record.empty())
    return store_.rollback();
  commit_window window{context_.versions(), tables, everything};
  auto begin = time_.now();
  auto done = store_.commit(next_seq_, wall_us(time_), record);
  auto took = time_.now() - begin;
  context_.timings().commit.add(took);
  context_.short_writes().note_commit(took);
  auto happened = done ? caf::expected<bool>{true} : store_.committed(next_seq_);
  if (happened && *happened)
    window.committed(next_seq_);
  window.close();
  if (!happened) {
    auto is_moved = describe(happened.error()).code == errc::file_replaced;
    auto why = describe(is_moved ? happened.error() : done.error());
    why.outcome = outcome::unknown;
    why.message += "; whether the commit took effect, or will after a crash, is not known";
    everything_may_have_changed();
    return fail_live(part, why);
  }
  if (!*happened)
    return commit_failed(part, describe(done.error()));
  context_.counters().commits.fetch_add(1, std::memory_order_relaxed);
  if (!new_epoch_.empty())
    note_new_epoch();
  changes_.push_back(
    {{context_.name(), next_seq_, std::move(tables), everything}, everything || window.concerns_kept()});
}

void group_commit::commit_failed(range part, const failure& why) {
  auto live = std::count_if(entries_.begin() + static_cast<ptrdiff_t>(part.first),
                            entries_.begin() + static_cast<ptrdiff_t>(part.second),
                            [](const entry& write) { return write.applied(); });
  if (live <= 1)
    return fail_live(part, why);
  undo(part);
  auto middle = part.first + (part.second - part.first) / 2;
  for (auto half : {range{part.first, middle}, range{middle, part.second}})
    // After the lock was refused, the other half waits for it, so that the halves keep their order.
    if (!lock_.is_pausing() && begin_again(half) && execute(half, half))
      commit(half);
}

void group_commit::fail_live(range part, const failure& why) {
  for (auto i = part.first; i < part.second; ++i) {
    auto& write = entries_[i];
    if (write.failed() || write.durable_before(next_seq_))
      continue;
    write.result.reset();
    write.error = why;
    if (write.began == clock::steady{})
      end_wait(write);
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
  // A program that opened the file while its log was missing saw other content, and may have committed on top of that.
  if (!events.empty())
    note_late_commit();
  result.changes = std::exchange(changes_, {});
  result.records.records = std::exchange(epochs_, {});
  if (std::exchange(external_commit_, false))
    result.records.records.push_back(record_of(request_type::foreign_commit, "ok", ts));
  for (auto& event : events) {
    context_.counters().file_events.fetch_add(1, std::memory_order_relaxed);
    result.records.records.push_back(record_of(request_type::file_event, event.status, ts));
    result.warnings.push_back(context_.name() + ": " + std::move(event.text));
  }
  if (opened_at_ != clock::steady{})
    result.busy = now_ - std::exchange(opened_at_, clock::steady{});
  result.writes.reserve(entries_.size());
  result.records.records.reserve(result.records.records.size() + entries_.size());
  std::vector<entry> waiting;
  for (auto& write : entries_)
    if (write.is_waiting())
      waiting.push_back(std::move(write));
    else
      finish_request(write, ts, result);
  entries_ = std::move(waiting);
  return result;
}

void group_commit::finish_request(entry& write, int64_t ts_us, finished_group& into) {
  // The record gets the status with which the client was answered.
  if (write.failed() && write.request.ticket && !write.request.ticket->finish())
    write.error = write.request.ticket->reason();
  if (write.failed())
    write.error->request_id = write.request.request_id;
  into.is_short = into.is_short && write.request.is_short;
  context_.timings().queue.add(write.began - write.request.received - write.locked_out);
  context_.timings().execution.add(write.executed);
  const auto& record = into.records.records.emplace_back(record_of(write, ts_us));
  if (slow_.notable(now_ - write.request.received))
    into.slow.emplace_back(timing_of(write, record), std::move(write.request.statements));
  auto verdict = write.failed() ? caf::expected<write_result>{make_error(std::move(*write.error))}
                                : caf::expected<write_result>{std::move(*write.result)};
  into.writes.push_back({std::move(write.to), std::move(verdict), std::move(write.request.agent), write.executed_in_all,
                         std::move(write.request.ticket)});
}

slow_request group_commit::timing_of(const entry& write, const audit_record& record) const {
  slow_request r;
  r.ts_us = record.ts_us;
  r.request_id = record.request_id;
  r.agent = record.agent;
  r.db = record.db;
  r.operation = to_string(record.type);
  r.sql = abbreviated_sql(write.request.statements);
  r.status = write.failed() ? record.status : "ok";
  r.total_us = record.latency_us;
  r.queue_us = microseconds(write.began - write.request.received - write.locked_out);
  r.lock_us = microseconds(write.locked_out);
  r.execute_us = microseconds(write.executed);
  // A request that was in no commit did not wait for one; a request that failed in between waited for the end of its
  // group.
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

audit_record group_commit::record_of(entry& write, int64_t ts_us) const {
  audit_record r;
  r.ts_us = ts_us;
  r.request_id = std::move(write.request.request_id);
  r.agent = write.request.agent;
  r.db = context_.name();
  r.type = recorded_type(write.request);
  r.key = std::move(write.request.idempotency_key);
  auto latency = std::chrono::duration_cast<std::chrono::microseconds>(now_ - write.request.received);
  r.latency_us = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
  r.correlation_id = std::move(write.request.correlation_id);
  r.peer = write.request.peer;
  r.grant = std::move(write.request.grant);
  auto& counters = context_.counters();
  if (write.failed()) {
    r.status = to_string(write.error->code);
    counters.failed_requests.fetch_add(1, std::memory_order_relaxed);
    return r;
  }
  r.status = write.result->replayed ? "replayed" : "committed";
  r.commit_seq = write.result->commit_seq;
  r.tables = write.result->replayed ? nullptr : write.tables;
  auto& counter = write.result->replayed ? counters.replayed_requests : counters.committed_requests;
  counter.fetch_add(1, std::memory_order_relaxed);
  return r;
}

void group_commit::note_new_epoch() {
  auto& record = epochs_.emplace_back();
  record.ts_us = wall_us(time_);
  record.db = context_.name();
  record.type = request_type::ledger_epoch;
  record.key = std::exchange(new_epoch_, {});
  context_.know_epoch(record.key);
  record.status = "ok";
  record.commit_seq = next_seq_;
}

void group_commit::note_external_commit() {
  external_commit_ = true;
  context_.counters().foreign_commits.fetch_add(1, std::memory_order_relaxed);
  note_late_commit();
}

void group_commit::note_late_commit() {
  context_.versions().raise_everything();
  everything_may_have_changed();
}

void group_commit::everything_may_have_changed() { changes_.push_back({{context_.name(), 0, {}, true}}); }

void group_commit::look_for_external_commit() {
  if (open_ || lock_.is_pausing())
    return;
  if (!store_.is_open()) {
    if (store_.take_external_commit())
      note_external_commit();
    return;
  }
  if (auto begun = store_.begin(); begun && begun->external_commit)
    note_external_commit();
  store_.rollback();
}

} // namespace sluice
