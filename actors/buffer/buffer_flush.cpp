// The part of the buffer actor that has rows written.

#include "actors/base/sql_tokens.hpp"
#include "actors/buffer/buffer.hpp"
#include "actors/buffer/flush_records.hpp"
#include "actors/shared/deadline_watch.hpp"

#include <algorithm>

namespace sluice {

namespace {

// With the pauses between them, a second and a half.
constexpr uint64_t attempts_while_closing = 5;

// How many of these attempts a refusal costs. Some pass by themselves within the time that closing has; a database that
// somebody has to repair is not going to be written by this broker.
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

// For `sluice buffer list`.
rejected_row as_rejected(unwritten_operation x, int64_t ts_us) {
  auto named = !x.why.message.empty();
  std::string message = "the broker ended before it was written";
  if (x.in_doubt)
    message = "the broker ended while it was being written; it may be in the database";
  if (named)
    message += ": " + x.why.message;
  return {0, std::move(x.operation.put), named ? x.why.code : errc::unavailable, std::move(message), ts_us};
}

// @param table by folded name; empty means all
uint64_t rows_in(const flush_outcome& out, const std::string& table, uint64_t number) {
  return static_cast<uint64_t>(
    std::count_if(out.completed.begin(), out.completed.end(), [&](const outgoing_operation& x) {
      return x.ends_row && x.number <= number && (table.empty() || folded_name(x.put.row.table) == table);
    }));
}

} // namespace

void buffer_state::pump(const std::string& db) {
  auto* batch = rows->next(db);
  if (!batch)
    return;
  const auto& request = rows->request_of(*batch, db);
  if (!batch->journaled() && (parts.journal || !request.operations.empty())) {
    if (auto noted = store->begin(request); !noted)
      return apply(rows->postpone(db, describe(noted.error())));
    batch->now_journaled();
  }
  rows->sent(db);
  sent_at[db] = parts.time->now();
  send(db, request.request);
}

void buffer_state::pump_all() {
  for (const auto& db : rows->databases())
    pump(db);
}

void buffer_state::send(const std::string& db, write_request request) {
  auto& context = parts.actors->context(db);
  auto route = closing ? context.last_route() : context.route();
  if (!route && !closing && !context.serving() && !context.last_route()) {
    // Nobody has asked for this database yet.
    self->request(parts.actors->supervisor(), caf::infinite, caf::open_atom_v, db)
      .then([this, db, request](caf::ok_atom) { send(db, request); },
            [this, db](const caf::error& why) { finished(db, why); });
    return;
  }
  if (!route)
    return finished(db, std::move(route.error()));
  request.received = parts.time->now();
  auto admitted = route->queue->admit(request, request.received + parts.settings.write_deadline);
  if (admitted.refused)
    return finished(db, make_error(std::move(*admitted.refused)));
  if (admitted.expire_at)
    watch_deadline(*parts.actors, *parts.time, db, *admitted.expire_at);
  auto ticket = request.ticket;
  auto answer = self->request(route->writer, caf::infinite, std::move(request));
  ticket->answer_to(caf::strong_actor_ptr{self->ctrl()}, answer.id());
  answer.then([this, db](write_result& x) { finished(db, std::move(x)); },
              [this, db](caf::error& why) { finished(db, std::move(why)); });
}

void buffer_state::finished(const std::string& db, const caf::expected<write_result>& answer) {
  apply(rows->finish(db, answer));
}

void buffer_state::apply(flush_outcome out) {
  using kind = flush_outcome::kind;
  auto ts_us = wall_us(*parts.time);
  auto took = parts.time->now() - sent_at[out.db];
  if (out.what == kind::set_aside) {
    std::vector<rejected_row> refused;
    for (const auto& x : out.completed)
      refused.push_back({0, x.put, out.why.code, out.why.message, ts_us});
    store->reject(std::move(refused));
  }
  if (out.journaled && (out.what == kind::halved || (out.what == kind::set_aside && out.completed.empty())))
    store->abandon(out.key);
  else if (out.journaled && out.what != kind::kept)
    store->end(out.key);
  // With what is pending now: whoever sees that a row was written, or set aside, sees it nowhere else.
  parts.stats->buffer.change([&](buffer_view& view) {
    show_pending(view);
    auto& x = view.status;
    if (out.what == kind::written) {
      ++x.flushes;
      x.flushed_rows += rows_in(out, {}, rows->number());
      x.last_flush_us = ts_us;
      x.last_flush_ms = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
      x.last_error = store->trouble();
      return;
    }
    x.last_error = out.why.message;
    x.failed_flushes += out.what == kind::kept ? 1 : 0;
    x.rejected += out.what == kind::set_aside ? out.completed.size() : 0;
  });
  if (!out.completed.empty()) {
    auto status = out.what == kind::written ? std::string_view{"committed"} : to_string(out.why.code);
    self->send(parts.actors->audit(), audit_batch{records_of(out, status, ts_us)});
  }
  if (closing && out.what == kind::kept)
    refusals_while_closing[out.db] += cost_while_closing(out.why.code);
  tell_waiting(out);
  for (const auto& x : std::exchange(parked[out.db], {}))
    look(x);
  let_in();
  if (out.what != kind::kept)
    pump(out.db);
  publish();
  arm();
  if (closing)
    end_if_done();
}

void buffer_state::tell_waiting(const flush_outcome& out) {
  std::vector<waiting_flush> ready;
  for (auto& x : flushes) {
    if (x.databases.count(out.db) == 0)
      continue;
    auto count = rows_in(out, x.table, x.number);
    (out.what == flush_outcome::kind::written ? x.report.flushed : x.report.set_aside) += count;
    auto left = rows->pending(out.db, x.table, x.number);
    if (out.what == flush_outcome::kind::kept) {
      x.report.kept += left;
      x.report.reason = out.why.message;
    }
    if (left == 0 || out.what == flush_outcome::kind::kept)
      x.databases.erase(out.db);
  }
  auto is_open = [](const waiting_flush& x) { return !x.databases.empty(); };
  auto done = std::stable_partition(flushes.begin(), flushes.end(), is_open);
  std::move(done, flushes.end(), std::back_inserter(ready));
  flushes.erase(done, flushes.end());
  for (auto& x : ready)
    x.done(x.report);
}

void buffer_state::flush(const flush_request& what, std::function<void(const flush_report&)> done) {
  waiting_flush x{folded_name(what.table), rows->number(), {}, {}, std::move(done)};
  for (const auto& db : rows->databases())
    if ((what.db.empty() || db == what.db) && rows->pending(db, what.table, x.number) > 0)
      x.databases.insert(db);
  if (x.databases.empty())
    return x.done({});
  auto databases = x.databases;
  flushes.push_back(std::move(x));
  for (const auto& db : databases) {
    rows->want(db, what.table);
    pump(db);
  }
}

void buffer_state::close(ok_promise done) {
  awaiting_close.push_back(std::move(done));
  if (closing)
    return;
  write_journal();
  closing = true;
  close_by = parts.time->now() + parts.close_within;
  for (auto& x : std::exchange(waiting, {}))
    x.to.deliver(refusal());
  for (auto& [db, puts] : std::exchange(held_puts, {}))
    for (auto& x : puts)
      x.to.deliver(refusal());
  rows->close();
  pump_all();
  arm();
  end_if_done();
}

void buffer_state::end_if_done() {
  if (awaiting_close.empty())
    return;
  auto may_be_written = [this](const std::string& db) {
    return rows->pending(db, {}, rows->number()) > 0 && refusals_while_closing[db] < attempts_while_closing;
  };
  auto databases = rows->databases();
  auto working = std::any_of(databases.begin(), databases.end(), may_be_written);
  if (working && parts.time->now() < close_by)
    return;
  if (rows->pending() > 0)
    give_up();
  auto lost = why_rows_are_lost();
  for (auto& x : std::exchange(awaiting_close, {}))
    lost ? x.deliver(lost) : x.deliver(caf::ok_atom_v);
  self->quit();
}

// The journal still has what came by it; the rest is kept with the rows that were refused.
void buffer_state::give_up() {
  auto count = rows->pending();
  auto left = rows->give_up();
  std::string reason;
  for (const auto& x : left)
    if (reason.empty() && !x.why.message.empty())
      reason = ": " + x.why.message;
  auto kept =
    std::stable_partition(left.begin(), left.end(), [](const auto& x) { return x.operation.journal.empty(); });
  left.erase(kept, left.end());
  auto in_journal = left.empty();
  set_aside(std::move(left));
  auto text = rows_text(count) + " could not be written before the broker ended"
              + (in_journal ? "; the next broker writes what stays in the journal"
                            : "; `sluice buffer list` shows what was set aside, `sluice buffer requeue` puts it back")
              + reason;
  parts.stats->buffer.change([&](buffer_view& view) { view.status.last_error = text; });
  if (parts.tell && store->unstored() == 0)
    parts.tell(log_level::warning, text);
}

void buffer_state::set_aside(std::vector<unwritten_operation> operations) {
  if (operations.empty())
    return;
  auto ts_us = wall_us(*parts.time);
  std::map<std::pair<std::string, errc>, flush_outcome> by_reason;
  std::vector<rejected_row> rejected;
  for (auto& x : operations) {
    auto row = as_rejected(x, ts_us);
    auto& out = by_reason[{row.operation.row.db, row.code}];
    out.db = row.operation.row.db;
    out.completed.push_back(std::move(x.operation));
    rejected.push_back(std::move(row));
  }
  for (const auto& [key, out] : by_reason)
    self->send(parts.actors->audit(), audit_batch{records_of(out, to_string(key.second), ts_us)});
  parts.stats->buffer.change([&](buffer_view& view) { view.status.rejected += rejected.size(); });
  store->reject(std::move(rejected));
  publish();
}

// Nothing, or what the file does not take, which nobody will have when this buffer has ended.
caf::error buffer_state::why_rows_are_lost() {
  if (store->unstored() == 0 || !store->catch_up())
    return {};
  auto count = store->unstored();
  auto text = rows_text(count) + (count == 1 ? " was lost" : " were lost")
              + ": neither written to their database nor kept with the rejected rows: " + store->trouble();
  parts.stats->buffer.change([&](buffer_view& view) { view.status.last_error = text; });
  if (parts.tell)
    parts.tell(log_level::error, text);
  return make_error(errc::unavailable, text);
}

} // namespace sluice
