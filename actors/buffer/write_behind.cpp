#include "actors/buffer/write_behind.hpp"

#include "actors/base/sql_tokens.hpp"

#include <algorithm>

namespace sluice {

namespace {

// Doubled up to 1.6 s: each try of what fails at once is a record in the audit.
constexpr std::chrono::milliseconds pause_while_closing{100};
constexpr uint64_t doublings_while_closing = 4;
// However rarely rows are written by themselves, those who wait for room are not to wait for that.
constexpr std::chrono::milliseconds longest_pause{5'000};
// An operation that alone runs into the deadline so often is never going to be done in time.
constexpr uint64_t timeouts_at_most = 3;

bool is_pause(errc code) {
  switch (code) {
  case errc::busy:
  case errc::unavailable:
  case errc::overloaded:
  case errc::deadline_exceeded:
  case errc::cancelled:
  case errc::disk_full:
  case errc::io_error:
  case errc::corrupt:
  case errc::file_replaced:
  case errc::ledger_damaged:
  case errc::read_only: return true;
  default: return false;
  }
}

outgoing_operation as_it_was_put(journal_content::operation x, uint64_t number, clock::steady since) {
  contribution from{x.content.agent, x.content.peer, 1};
  return {std::move(x.content), {std::move(from)}, {x.seq}, number, since, true, false, true};
}

} // namespace

write_behind::write_behind(write_behind_settings settings, const clock& time, uint64_t seed)
  : settings_(std::move(settings)), time_(time), ids_(seed) {}

buffered_table_rules write_behind::rules_for(const std::string& db, const std::string& table) const {
  auto is_it = [&](const auto& x) { return x.db == db && folded_name(x.table) == folded_name(table); };
  auto found = std::find_if(settings_.tables.begin(), settings_.tables.end(), is_it);
  return found != settings_.tables.end() ? *found : buffered_table_rules{db, table, settings_.interval, 0};
}

bool write_behind::would_merge(const checked_operation& x) const {
  auto found = databases_.find(x.put.row.db);
  return found != databases_.end() && found->second.rows.would_merge(x);
}

bool write_behind::has_room(uint64_t reserved) const {
  size_t bytes = 0;
  for (const auto& [name, x] : databases_)
    bytes += x.rows.footprint();
  return pending() + reserved < settings_.max_pending * 4 / 5 && bytes < settings_.max_bytes * 4 / 5;
}

uint64_t write_behind::room_for_rejected() const {
  auto taken = pending();
  return taken < settings_.max_pending ? settings_.max_pending - taken : 0;
}

bool write_behind::is_pressed() const { return !has_room(0); }

bool write_behind::add(checked_operation x) {
  const auto& row = x.put.row;
  auto& db = databases_[row.db];
  auto rules = rules_for(row.db, row.table);
  return db.rows.add(std::move(x), ++number_, time_.now(), rules);
}

void write_behind::recover(journal_content content) {
  // They have waited long enough.
  auto since = time_.now() - settings_.interval;
  for (auto& x : content.batches) {
    auto& db = databases_[x.request.db];
    std::vector<outgoing_operation> operations;
    for (auto& y : content.in_batches)
      if (std::find(x.operations.begin(), x.operations.end(), y.seq) != x.operations.end()) {
        auto rules = rules_for(x.request.db, y.content.row.table);
        operations.push_back(as_it_was_put(std::move(y), ++number_, since));
        db.rows.count_under_way(operations.back(), rules);
      }
    db.recovered.emplace_back(std::move(x), std::move(operations));
  }
  for (auto& x : content.operations) {
    checked_operation operation;
    operation.seq = x.seq;
    // What the schema has to say about it is not known any more: nothing passes it, and it is written by itself.
    operation.needs_own_batch = true;
    operation.keeps_order = true;
    auto& db = databases_[x.content.row.db];
    auto rules = rules_for(x.content.row.db, x.content.row.table);
    operation.put = std::move(x.content);
    db.rows.add(std::move(operation), ++number_, since, rules);
  }
}

flush_batch* write_behind::next(const std::string& name) {
  auto found = databases_.find(name);
  if (found == databases_.end())
    return nullptr;
  auto& db = found->second;
  auto now = time_.now();
  if (db.now)
    return db.now->under_way || now < db.now->retry_at ? nullptr : &db.now->batch;
  if (!db.recovered.empty()) {
    db.now.emplace(attempt{std::move(db.recovered.front())});
    // It was sent, and nobody knows with what success.
    db.now->in_doubt = true;
    db.recovered.erase(db.recovered.begin());
    return &db.now->batch;
  }
  buffered_database::demand what;
  what.now = now;
  what.everything = closing_ || db.rows.queued() >= settings_.batch || is_pressed();
  what.max_operations = settings_.batch;
  auto operations = db.rows.take(what);
  if (operations.empty())
    return nullptr;
  db.now.emplace(attempt{flush_batch{std::move(operations)}});
  return &db.now->batch;
}

const journal_batch& write_behind::request_of(flush_batch& batch, const std::string& db) {
  return batch.request(db, "buffer-" + ids_.next());
}

void write_behind::sent(const std::string& name) { databases_.at(name).now->under_way = true; }

bool write_behind::is_transient(const failure& why, attempt& x) {
  if (why.outcome == outcome::unknown)
    return true;
  if (why.code == errc::deadline_exceeded && ++x.timeouts >= timeouts_at_most)
    return false;
  return is_pause(why.code);
}

std::chrono::milliseconds write_behind::pause_after(const failure& why, const attempt& x) const {
  if (closing_)
    return pause_while_closing * (1U << std::min(x.failures, doublings_while_closing));
  auto longest = std::min(settings_.interval, longest_pause);
  if (why.retry_after_ms == 0)
    return longest;
  auto shift = std::min<uint64_t>(x.failures, 10);
  return std::min(longest, std::chrono::milliseconds{uint64_t{why.retry_after_ms} << shift});
}

void write_behind::complete(database& db, flush_outcome& out) {
  for (auto& x : db.now->batch.window()) {
    db.rows.complete(x);
    if (out.what == flush_outcome::kind::written)
      ++db.generations[x.put.row.table];
    out.completed.push_back(std::move(x));
  }
  db.now->batch.complete();
  db.now->failures = 0;
  db.now->timeouts = 0;
  db.now->in_doubt = false;
  if (db.now->batch.finished())
    db.now.reset();
}

flush_outcome write_behind::outcome_for(const std::string& name, attempt& x) const {
  flush_outcome out;
  out.db = name;
  out.key = x.batch.request(name, {}).idempotency_key;
  out.journaled = x.batch.journaled();
  x.under_way = false;
  x.retry_at = {};
  return out;
}

void write_behind::keep(attempt& x, flush_outcome& out) const {
  out.what = flush_outcome::kind::kept;
  x.in_doubt |= out.why.outcome == outcome::unknown;
  x.why = out.why;
  x.retry_at = time_.now() + pause_after(out.why, x);
  ++x.failures;
}

flush_outcome write_behind::postpone(const std::string& name, failure why) {
  auto& flight = *databases_.at(name).now;
  auto out = outcome_for(name, flight);
  out.why = std::move(why);
  keep(flight, out);
  return out;
}

flush_outcome write_behind::finish(const std::string& name, const caf::expected<write_result>& answer) {
  auto& db = databases_.at(name);
  auto& flight = *db.now;
  auto out = outcome_for(name, flight);
  if (answer) {
    out.commit_seq = answer->commit_seq;
    complete(db, out);
    return out;
  }
  out.why = sluice::describe(answer.error());
  if (is_transient(out.why, flight)) {
    keep(flight, out);
    return out;
  }
  // A definite answer to this key: neither this attempt has had an effect nor an earlier one.
  flight.timeouts = 0;
  flight.in_doubt = false;
  if (flight.batch.window().size() > 1) {
    out.what = flush_outcome::kind::halved;
    flight.batch.halve();
    return out;
  }
  out.what = flush_outcome::kind::set_aside;
  complete(db, out);
  return out;
}

void write_behind::close() noexcept {
  closing_ = true;
  for (auto& [name, db] : databases_)
    if (db.now) {
      db.now->retry_at = {};
      db.now->failures = 0;
    }
}

void write_behind::want(const std::string& name, const std::string& table) {
  auto found = databases_.find(name);
  if (found == databases_.end())
    return;
  found->second.rows.want(table, number_);
  if (found->second.now)
    found->second.now->retry_at = {};
}

} // namespace sluice
