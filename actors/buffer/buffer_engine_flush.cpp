// The part of `buffer_engine` that has rows written.

#include "actors/buffer/buffer_engine.hpp"
#include "actors/buffer/flush_records.hpp"

#include <algorithm>
#include <iterator>

namespace sluice {

namespace {

using verdict = flush_outcome::verdict;

// Including the pauses between them, the attempts take a second and a half.
constexpr uint64_t attempts_while_closing = 5;

// The number of attempts that an error costs. Some errors pass within the time for closing; a database that needs
// repair will not be written by this broker.
uint64_t cost_while_closing(errc code) {
  switch (code) {
  case errc::ledger_damaged:
  case errc::corrupt:
  case errc::read_only: return attempts_while_closing;
  case errc::unavailable: return 1;
  default: return 0;
  }
}

std::string rows_text(uint64_t count) {
  return std::to_string(count) + (count == 1 ? " buffered row" : " buffered rows");
}

// The entry that `sluice buffer list` shows.
rejected_row rejected_at_end(unwritten_operation left, int64_t ts_us) {
  auto has_reason = !left.error.message.empty();
  std::string message = "the broker ended before it was written";
  if (left.in_doubt)
    message = "the broker ended while it was being written; it may be in the database";
  if (has_reason)
    message += ": " + left.error.message;
  return {0, std::move(left.operation.put), has_reason ? left.error.code : errc::unavailable, std::move(message),
          ts_us};
}

// The first reason among them, as the end of a sentence.
std::string first_reason(const std::vector<unwritten_operation>& operations) {
  for (const auto& left : operations)
    if (!left.error.message.empty())
      return ": " + left.error.message;
  return {};
}

} // namespace

flush_waiters::report_handler buffer_engine::answer_report(reply<flush_report> to) {
  return [this, owner = std::make_shared<reply<flush_report>>(std::move(to))](const flush_report& report) {
    effects_.reports.push_back({std::move(*owner), report});
  };
}

void buffer_engine::pump(const std::string& name) {
  auto found = databases_.find(name);
  if (found == databases_.end())
    return;
  auto& db = found->second;
  auto* batch = db.next(!has_room(0));
  if (!batch)
    return;
  const auto& request = db.request_of(*batch);
  if (!batch->journaled() && (settings_.journal || !request.operations.empty())) {
    if (auto noted = store_.begin(request); !noted)
      return apply(db.postpone(describe(noted.error())));
    batch->now_journaled();
  }
  db.sent();
  sent_at_[name] = time_.now();
  effects_.writes.push_back({name, request.request});
}

void buffer_engine::pump_all() {
  // Copied, because giving up removes databases.
  std::vector<std::string> names;
  for (const auto& [name, db] : databases_)
    names.push_back(name);
  for (const auto& name : names)
    pump(name);
}

void buffer_engine::written(const std::string& name, const caf::expected<write_result>& answer) {
  if (auto found = databases_.find(name); found != databases_.end())
    apply(found->second.finish(answer));
}

void buffer_engine::apply(const flush_outcome& out) {
  store_outcome(out);
  count(out);
  if (!out.completed.empty()) {
    auto status = out.result == verdict::written ? std::string_view{"committed"} : to_string(out.error.code);
    auto records = records_of(out, status, wall_us(time_));
    std::move(records.begin(), records.end(), std::back_inserter(effects_.records));
  }
  if (closing_ && out.result == verdict::kept)
    refusals_while_closing_[out.db] += cost_while_closing(out.error.code);
  flushes_.finish(out, find(out.db));
  for (const auto& row : std::exchange(parked_[out.db], {}))
    look(row);
  admit_waiting();
  if (out.result != verdict::kept)
    pump(out.db);
  publish();
  arm();
  if (closing_)
    end_if_done();
}

// Stores rejected rows in their file, and removes finished operations from the journal.
void buffer_engine::store_outcome(const flush_outcome& out) {
  auto is_rejected = out.result == verdict::rejected;
  if (is_rejected) {
    std::vector<rejected_row> rows;
    for (const auto& operation : out.completed)
      rows.push_back({0, operation.put, out.error.code, out.error.message, wall_us(time_)});
    store_.reject(std::move(rows));
  }
  if (!out.journaled || out.result == verdict::kept)
    return;
  if (out.result == verdict::halved || (is_rejected && out.completed.empty()))
    store_.abandon(out.key);
  else
    store_.end(out.key);
}

// Published together with the number of pending rows: a row that the status counts as written or rejected is no longer
// counted as pending.
void buffer_engine::count(const flush_outcome& out) {
  auto took = time_.now() - sent_at_[out.db];
  view_.change([&](buffer_view& view) {
    show_pending(view);
    auto& status = view.status;
    if (out.result == verdict::written) {
      ++status.flushes;
      status.flushed_rows += out.rows();
      status.last_flush_us = wall_us(time_);
      status.last_flush_ms = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
      status.last_error = store_.trouble();
      return;
    }
    status.last_error = out.error.message;
    status.failed_flushes += out.result == verdict::kept ? 1 : 0;
    status.rejected += out.result == verdict::rejected ? out.completed.size() : 0;
  });
}

void buffer_engine::flush(const flush_request& request, reply<flush_report> to) {
  flush(request.db, request.table, answer_report(std::move(to)));
}

// @param db empty means all, like `table`
void buffer_engine::flush(const std::string& db, const std::string& table, flush_waiters::report_handler done) {
  std::set<std::string> databases;
  for (const auto& [name, rows] : databases_)
    if ((db.empty() || name == db) && rows.pending(table, number_) > 0)
      databases.insert(name);
  if (databases.empty())
    return done({});
  flushes_.add(table, number_, databases, std::move(done));
  for (const auto& name : databases) {
    if (auto found = databases_.find(name); found != databases_.end())
      found->second.want(table, number_);
    pump(name);
  }
}

void buffer_engine::close() {
  if (closing_)
    return;
  write_journal();
  closing_ = true;
  close_by_ = time_.now() + settings_.close_within;
  for (auto& waiting : std::exchange(waiting_, {}))
    answer_put(waiting.to, shutting_down());
  for (auto& [db, puts] : std::exchange(held_puts_, {}))
    for (auto& waiting : puts)
      answer_put(waiting.to, shutting_down());
  for (auto& [name, db] : databases_)
    db.close();
  pump_all();
  arm();
  end_if_done();
}

void buffer_engine::end_if_done() {
  if (closed_)
    return;
  auto may_be_written = [this](const auto& db) {
    return db.second.pending({}, number_) > 0 && refusals_while_closing_[db.first] < attempts_while_closing;
  };
  auto is_working = std::any_of(databases_.begin(), databases_.end(), may_be_written);
  if (is_working && time_.now() < close_by_)
    return;
  if (pending() > 0)
    give_up();
  closed_ = true;
  effects_.closed = error_of_lost_rows();
}

// Gives up the remaining operations: those in the journal stay there, the others are stored as rejected rows.
void buffer_engine::give_up() {
  auto count = pending();
  std::vector<unwritten_operation> left;
  for (auto& [name, db] : databases_)
    for (auto& operation : db.give_up())
      left.push_back(std::move(operation));
  databases_.clear();
  auto reason = first_reason(left);
  std::erase_if(left, [](const auto& unwritten) { return !unwritten.operation.journal.empty(); });
  auto in_journal = left.empty();
  reject(std::move(left));
  auto text = rows_text(count) + " could not be written before the broker ended"
              + (in_journal ? "; the next broker writes what stays in the journal"
                            : "; `sluice buffer list` shows what was set aside, `sluice buffer requeue` puts it back")
              + reason;
  view_.change([&](buffer_view& view) { view.status.last_error = text; });
  if (store_.unstored() == 0)
    effects_.warnings.emplace_back(log_level::warning, text);
}

void buffer_engine::reject(std::vector<unwritten_operation> operations) {
  if (operations.empty())
    return;
  auto ts_us = wall_us(time_);
  std::map<std::pair<std::string, errc>, flush_outcome> by_reason;
  std::vector<rejected_row> rows;
  for (auto& unwritten : operations) {
    auto row = rejected_at_end(unwritten, ts_us);
    auto& out = by_reason[{row.operation.row.db, row.code}];
    out.db = row.operation.row.db;
    out.completed.push_back(std::move(unwritten.operation));
    rows.push_back(std::move(row));
  }
  for (const auto& [key, out] : by_reason) {
    auto records = records_of(out, to_string(key.second), ts_us);
    std::move(records.begin(), records.end(), std::back_inserter(effects_.records));
  }
  view_.change([&](buffer_view& view) { view.status.rejected += rows.size(); });
  store_.reject(std::move(rows));
  publish();
}

// The error if the file did not take all rejected rows, which are lost when this buffer ends; else none.
caf::error buffer_engine::error_of_lost_rows() {
  if (store_.unstored() == 0 || !store_.catch_up())
    return {};
  auto count = store_.unstored();
  auto text = rows_text(count) + (count == 1 ? " was lost" : " were lost")
              + ": neither written to their database nor kept with the rejected rows: " + store_.trouble();
  view_.change([&](buffer_view& view) { view.status.last_error = text; });
  effects_.warnings.emplace_back(log_level::error, text);
  return make_error(errc::unavailable, text);
}

} // namespace sluice
