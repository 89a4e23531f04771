// The part of the buffer actor that has rows written.

#include "actors/buffer.hpp"
#include "actors/flush_records.hpp"
#include "actors/sql_words.hpp"

#include <algorithm>

namespace sluice {

namespace {

// With the pause between them, half a second.
constexpr uint64_t attempts_while_closing = 5;

// @param table by folded name; empty means all
uint64_t rows_in(const flush_outcome& out, const std::string& table, uint64_t number) {
  return static_cast<uint64_t>(std::count_if(out.settled.begin(), out.settled.end(), [&](const outgoing_operation& x) {
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
    if (auto noted = shelf->begin(request); !noted)
      return follow(rows->postpone(db, describe(noted.error())));
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
  auto& slot = parts.actors->slot(db);
  auto route = closing ? slot.last_route() : slot.route();
  if (!route && !closing && !slot.serving() && !slot.last_route()) {
    // Nobody has asked for this database yet.
    self->request(parts.actors->supervisor(), caf::infinite, caf::open_atom_v, db)
      .then([this, db, request](caf::ok_atom) { send(db, request); },
            [this, db](const caf::error& why) { finished(db, why); });
    return;
  }
  if (!route)
    return finished(db, std::move(route.error()));
  request.received = parts.time->now();
  if (auto why = route->queue->admit(request.agent, footprint(request)))
    return finished(db, make_error(std::move(*why)));
  self->request(route->writer, caf::infinite, std::move(request))
    .then([this, db](write_result& x) { finished(db, std::move(x)); },
          [this, db](caf::error& why) { finished(db, std::move(why)); });
}

void buffer_state::finished(const std::string& db, const caf::expected<write_result>& answer) {
  follow(rows->finish(db, answer));
}

void buffer_state::follow(flush_outcome out) {
  using kind = flush_outcome::kind;
  auto ts_us = wall_us(*parts.time);
  auto took = parts.time->now() - sent_at[out.db];
  if (out.what == kind::set_aside)
    for (const auto& x : out.settled)
      shelf->reject({0, x.put, out.why.code, out.why.message, ts_us});
  if (out.journaled && (out.what == kind::halved || (out.what == kind::set_aside && out.settled.empty())))
    shelf->abandon(out.key);
  else if (out.journaled && out.what != kind::kept)
    shelf->end(out.key);
  // With what is pending now: whoever sees that a row was written, or set aside, sees it nowhere else.
  parts.shown->buffer.change([&](buffer_view& view) {
    show_pending(view);
    auto& x = view.status;
    if (out.what == kind::written) {
      ++x.flushes;
      x.flushed_rows += rows_in(out, {}, rows->number());
      x.last_flush_us = ts_us;
      x.last_flush_ms = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
      x.last_error = shelf->trouble();
      return;
    }
    x.last_error = out.why.message;
    x.failed_flushes += out.what == kind::kept ? 1 : 0;
    x.rejected += out.what == kind::set_aside ? out.settled.size() : 0;
  });
  if (!out.settled.empty()) {
    auto status = out.what == kind::written ? std::string_view{"committed"} : to_string(out.why.code);
    self->send(parts.actors->audit(), audit_batch{records_of(out, status, ts_us)});
  }
  if (closing && out.what == kind::kept && out.why.code == errc::unavailable)
    ++unreachable[out.db];
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
    return rows->pending(db, {}, rows->number()) > 0 && unreachable[db] < attempts_while_closing;
  };
  auto databases = rows->databases();
  auto working = std::any_of(databases.begin(), databases.end(), may_be_written);
  if (working && parts.time->now() < close_by)
    return;
  if (rows->pending() > 0)
    return give_up();
  for (auto& x : std::exchange(awaiting_close, {}))
    x.deliver(caf::ok_atom_v);
  self->quit();
}

void buffer_state::give_up() {
  auto count = rows->pending();
  // The journal still has what came by it; the rest is gone, and the audit has to tell.
  std::map<std::string, flush_outcome> lost;
  for (auto& x : rows->give_up())
    if (x.journal.empty()) {
      auto& out = lost[x.put.row.db];
      out.db = x.put.row.db;
      out.settled.push_back(std::move(x));
    }
  for (const auto& [db, out] : lost)
    self->send(parts.actors->audit(), audit_batch{records_of(out, to_string(errc::unavailable), wall_us(*parts.time))});
  auto why = std::to_string(count) + (lost.empty() ? " rows stay in the journal" : " buffered rows were lost")
             + ": they could not be written before the broker ended";
  parts.shown->buffer.change([&](buffer_view& view) { view.status.last_error = why; });
  for (auto& x : std::exchange(awaiting_close, {}))
    x.deliver(make_error(errc::unavailable, why));
  self->quit();
}

} // namespace sluice
