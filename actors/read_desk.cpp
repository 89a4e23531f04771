#include "actors/read_desk.hpp"

#include <algorithm>

namespace sluice {

namespace {

constexpr size_t max_known_statements = 4'096;

failure failed(errc code, std::string message) {
  failure x;
  x.code = code;
  x.message = std::move(message);
  return x;
}

size_t hash_of(const database_slot& slot, const sql_text& sql) { return sql.hash() ^ reinterpret_cast<size_t>(&slot); }

bool same_query(const read_request& a, const read_request& b) {
  return a.query.sql == b.query.sql && a.query.params == b.query.params && a.limits.max_rows == b.limits.max_rows
         && a.limits.max_bytes == b.limits.max_bytes;
}

} // namespace

void read_desk::submit(database_slot& slot, read_request request, reply<read_result> to, outcome& out) {
  if (request.received == clock::steady{})
    request.received = time_.now();
  if (request.request_id.empty())
    request.request_id = ids_.next();
  waiter x{std::move(to), std::move(request)};
  if (auto why = slot.closed())
    return fail(x, *why, out);
  if (auto newest = slot.versions().last_commit(); x.request.min_seq > newest)
    return fail(x,
                failed(errc::invalid_request, "there is no commit " + std::to_string(x.request.min_seq)
                                                + " yet; the newest is " + std::to_string(newest)),
                out);
  auto joinable = x.request.freshness == freshness::cached && !x.request.cancel.possible();
  auto hash = hash_of(slot, x.request.query.sql);
  if (joinable)
    for (auto [i, end] = joinable_.equal_range(hash); i != end; ++i)
      if (auto& other = flights_.at(i->second); other.slot == &slot && may_join(other, x.request)) {
        ++joined_;
        other.waiters.push_back(std::move(x));
        return;
      }
  auto& desk = pools_[&slot];
  if (desk.queue.size() >= max_queued_) {
    auto why = failed(errc::overloaded, "too many reads wait for this database");
    why.retry_after_ms = 100;
    return fail(x, why, out);
  }
  ++misses_;
  auto id = next_flight_++;
  auto& added = flights_[id];
  added.slot = &slot;
  added.hash = hash;
  added.joinable = joinable;
  added.waiters.push_back(std::move(x));
  if (joinable)
    joinable_.emplace(hash, id);
  desk.queue.push_back(id);
  start_queued(slot, out);
}

bool read_desk::may_join(const flight& x, const read_request& request) const {
  if (!same_query(x.request(), request))
    return false;
  if (!x.started)
    return true;
  const auto& versions = x.slot->versions();
  if (x.in_doubt || versions.committing())
    return false;
  if (auto* info = known(*x.slot, request.query.sql))
    return info->reads->deterministic && still_valid(info->tables, versions, x.version);
  return versions.now() == x.version;
}

void read_desk::start_queued(database_slot& slot, outcome& out) {
  auto& desk = pools_[&slot];
  auto now = time_.now();
  while (!desk.queue.empty() && !desk.idle.empty()) {
    auto id = desk.queue.front();
    desk.queue.pop_front();
    auto& x = flights_.at(id);
    std::erase_if(x.waiters, [&](waiter& w) { return expired(w.request, now, out, w); });
    if (x.waiters.empty()) {
      unregister(id, x);
      flights_.erase(id);
      continue;
    }
    const auto& versions = slot.versions();
    x.started = true;
    x.in_doubt = versions.committing();
    x.version = versions.now();
    x.as_of_seq = versions.last_commit();
    desk.busy.splice(desk.busy.begin(), desk.idle, desk.idle.begin());
    x.reader = desk.busy.begin();
    auto request = x.request();
    // The query may use what waiting has left of its time.
    auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - request.received);
    request.limits.timeout -= std::min(waited, request.limits.timeout - std::chrono::milliseconds{1});
    out.dispatches.push_back({x.reader->handle, id, std::move(request)});
  }
  if (!desk.queue.empty())
    out.wants_readers.push_back(slot.name());
}

bool read_desk::expired(const read_request& request, clock::steady now, outcome& out, waiter& x) {
  if (request.cancel.cancelled()) {
    fail(x, failed(errc::cancelled, "the read was cancelled while it waited for a reader"), out);
    return true;
  }
  if (now - request.received < request.limits.timeout)
    return false;
  fail(x, failed(errc::deadline_exceeded, "the time-out passed while the read waited for a reader"), out);
  return true;
}

void read_desk::finished(uint64_t id, caf::expected<executed_read> result, outcome& out) {
  auto found = flights_.find(id);
  if (found == flights_.end())
    return;
  auto x = std::move(found->second);
  unregister(id, x);
  flights_.erase(found);
  auto& slot = *x.slot;
  auto& desk = pools_[&slot];
  if (result)
    notice_foreign_commit(slot, *x.reader, x, result->data_version, out);
  if (!result && code_of(result.error()) == errc::unavailable)
    desk.busy.erase(x.reader);
  else
    desk.idle.splice(desk.idle.begin(), desk.busy, x.reader);
  answer(x, std::move(result), out);
  start_queued(slot, out);
}

void read_desk::answer(flight& x, caf::expected<executed_read> result, outcome& out) {
  if (!result) {
    auto why = describe(result.error());
    auto now = time_.now();
    auto has_time = [&](const waiter& w) { return now - w.request.received < w.request.limits.timeout; };
    fail(x.waiters.front(), why, out);
    for (size_t i = 1; i < x.waiters.size(); ++i)
      if (auto& w = x.waiters[i]; why.code == errc::deadline_exceeded && has_time(w))
        // It was the time of the one that ran the query that was up.
        submit(*x.slot, std::move(w.request), std::move(w.to), out);
      else
        fail(w, why, out);
    return;
  }
  auto& rows = result->result;
  rows.as_of_seq = x.as_of_seq;
  rows.source = read_source::database;
  const auto& info = learn(*x.slot, x.request(), std::move(result->reads));
  if (info.reads->deterministic && x.joinable && !x.in_doubt)
    hits_.insert(*x.slot, x.request(), x.request().limits, rows, info.tables, x.version, time_.now());
  deliver(x.waiters.front(), rows, out);
  rows.source = read_source::joined;
  for (size_t i = 1; i < x.waiters.size(); ++i)
    if (info.reads->deterministic)
      deliver(x.waiters[i], rows, out);
    else
      // Only now is it known that this statement answers each caller differently.
      submit(*x.slot, std::move(x.waiters[i].request), std::move(x.waiters[i].to), out);
}

const read_desk::statement_info* read_desk::known(const database_slot& slot, const sql_text& sql) const {
  auto i = statements_.find(hash_of(slot, sql));
  return i != statements_.end() && i->second.slot == &slot && i->second.sql == sql ? &i->second : nullptr;
}

const read_desk::statement_info& read_desk::learn(database_slot& slot, const read_request& request,
                                                  std::shared_ptr<const read_set> reads) {
  if (statements_.size() > max_known_statements)
    statements_.clear();
  const auto& sql = request.query.sql;
  if (auto* info = known(slot, sql);
      info
      && (info->reads == reads
          || (info->reads->tables == reads->tables && info->reads->deterministic == reads->deterministic)))
    return *info;
  auto& info = statements_[hash_of(slot, sql)];
  info.slot = &slot;
  info.sql = sql;
  info.reads = std::move(reads);
  info.tables.clear();
  for (const auto& table : info.reads->tables)
    info.tables.push_back(&slot.versions().changed_at(table));
  return info;
}

void read_desk::notice_foreign_commit(database_slot& slot, reader_entry& reader, const flight& x, uint32_t data_version,
                                      outcome& out) const {
  const auto& versions = slot.versions();
  auto changed = reader.data_version && *reader.data_version != data_version;
  // Our own commits change it as well; it tells something only when there was none since the reader's last query.
  if (changed && !versions.committing() && versions.now() == reader.version) {
    slot.versions().raise_everything();
    out.suspects.push_back(slot.name());
  }
  reader.data_version = data_version;
  reader.version = x.version;
}

void read_desk::reader_joined(database_slot& slot, reader_actor reader, outcome& out) {
  pools_[&slot].idle.push_back({std::move(reader), std::nullopt, 0});
  start_queued(slot, out);
}

void read_desk::reader_lost(const caf::actor_addr& reader, outcome& out) {
  auto is_lost = [&](const reader_entry& x) { return x.handle && x.handle.address() == reader; };
  for (auto& [slot, desk] : pools_) {
    desk.idle.remove_if(is_lost);
    auto lost = std::find_if(desk.busy.begin(), desk.busy.end(), is_lost);
    if (lost == desk.busy.end())
      continue;
    auto found = std::find_if(flights_.begin(), flights_.end(),
                              [&](const auto& x) { return x.second.started && x.second.reader == lost; });
    if (found != flights_.end()) {
      auto x = std::move(found->second);
      unregister(found->first, x);
      flights_.erase(found);
      auto why = failed(errc::unavailable, "the reader that ran this query failed; it is being restarted");
      why.retry_after_ms = 100;
      for (auto& w : x.waiters)
        fail(w, why, out);
    }
    desk.busy.erase(lost);
  }
}

void read_desk::refuse_if_closed(database_slot& slot, outcome& out) {
  auto why = slot.closed();
  if (!why)
    return;
  for (auto id : std::exchange(pools_[&slot].queue, {})) {
    auto found = flights_.find(id);
    auto x = std::move(found->second);
    unregister(id, x);
    flights_.erase(found);
    for (auto& w : x.waiters)
      fail(w, *why, out);
  }
}

void read_desk::abandon(outcome& out) {
  auto why = failed(errc::unavailable, "the broker is shutting down");
  for (auto& [id, x] : flights_)
    for (auto& w : x.waiters)
      fail(w, why, out);
  flights_.clear();
  joinable_.clear();
  for (auto& [slot, desk] : pools_)
    desk.queue.clear();
}

void read_desk::fail(waiter& x, const failure& why, outcome& out) {
  auto own = why;
  own.request_id = x.request.request_id;
  deliver(x, make_error(std::move(own)), out);
}

void read_desk::deliver(waiter& x, caf::expected<read_result> result, outcome& out) {
  audit_record r;
  r.ts_us = wall_us(time_);
  r.request_id = std::move(x.request.request_id);
  r.agent = std::move(x.request.agent);
  r.db = std::move(x.request.db);
  r.type = request_type::read;
  r.key = read_fingerprint(x.request.query);
  r.status = result ? "ok" : to_string(code_of(result.error()));
  r.commit_seq = result ? result->as_of_seq : 0;
  auto latency = std::chrono::duration_cast<std::chrono::microseconds>(time_.now() - x.request.received);
  r.latency_us = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
  r.correlation_id = std::move(x.request.correlation_id);
  r.peer = x.request.peer;
  out.records.push_back(std::move(r));
  out.deliveries.push_back({std::move(x.to), std::move(result)});
}

void read_desk::unregister(uint64_t id, const flight& x) {
  for (auto [i, end] = joinable_.equal_range(x.hash); i != end; ++i)
    if (i->second == id) {
      joinable_.erase(i);
      return;
    }
}

} // namespace sluice
