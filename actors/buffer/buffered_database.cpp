#include "actors/buffer/buffered_database.hpp"

#include "actors/base/sql_tokens.hpp"

#include <algorithm>
#include <cassert>
#include <span>
#include <utility>

namespace sluice {

namespace {

// Doubled up to 1.6 s, because each immediate failure adds a record to the audit.
constexpr std::chrono::milliseconds pause_while_closing{100};
constexpr uint64_t max_doublings_while_closing = 4;
// The longest pause after a failed request, however long the interval of the rows is: callers may wait for room.
constexpr std::chrono::milliseconds longest_pause{5'000};
// An operation that has timed out alone this many times will never succeed.
constexpr uint64_t max_timeouts = 3;

bool is_transient_code(errc code) {
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

} // namespace

uint64_t flush_outcome::rows(const std::string& table, uint64_t number) const {
  return static_cast<uint64_t>(std::count_if(completed.begin(), completed.end(), [&](const auto& operation) {
    return operation.ends_row && operation.number <= number
           && (table.empty() || folded_name(operation.put.row.table) == table);
  }));
}

buffered_database::buffered_database(std::string name, const write_behind_settings& settings, const clock& time,
                                     request_ids& ids)
  : name_(std::move(name)), settings_(settings), time_(time), ids_(ids) {}

buffered_table_rules buffered_database::rules_for(const std::string& table) const {
  auto is_meant = [&](const auto& rules) {
    return rules.db == name_ && folded_name(rules.table) == folded_name(table);
  };
  auto found = std::find_if(settings_.tables.begin(), settings_.tables.end(), is_meant);
  return found != settings_.tables.end() ? *found : buffered_table_rules{name_, table, settings_.interval, 0};
}

bool buffered_database::add(checked_operation operation, uint64_t number, clock::steady since) {
  auto rules = rules_for(operation.put.row.table);
  return rows_.add(std::move(operation), number, since, rules);
}

void buffered_database::recover(journal_batch batch, std::vector<outgoing_operation> operations) {
  for (const auto& operation : operations)
    rows_.count_under_way(operation, rules_for(operation.put.row.table));
  recovered_.emplace_back(std::move(batch), std::move(operations));
}

flush_batch* buffered_database::next(bool everything) {
  auto now = time_.now();
  if (attempt_)
    return attempt_->under_way || now < attempt_->retry_at ? nullptr : &attempt_->batch;
  if (!recovered_.empty()) {
    attempt_.emplace(attempt{std::move(recovered_.front())});
    // The request was sent, and its outcome is unknown.
    attempt_->in_doubt = true;
    recovered_.erase(recovered_.begin());
    return &attempt_->batch;
  }
  row_queue::demand wanted;
  wanted.now = now;
  wanted.everything = everything || closing_ || rows_.size() >= settings_.batch;
  wanted.max_rows = settings_.batch;
  auto operations = rows_.take(wanted);
  if (operations.empty())
    return nullptr;
  attempt_.emplace(attempt{flush_batch{std::move(operations)}});
  return &attempt_->batch;
}

const journal_batch& buffered_database::request_of(flush_batch& batch) {
  return batch.request(name_, "buffer-" + ids_.next());
}

void buffered_database::sent() {
  assert(attempt_);
  attempt_->under_way = true;
}

bool buffered_database::is_transient(const failure& error) {
  if (error.outcome == outcome::unknown)
    return true;
  if (error.code == errc::deadline_exceeded && ++attempt_->timeouts >= max_timeouts)
    return false;
  return is_transient_code(error.code);
}

std::chrono::milliseconds buffered_database::pause_after(const failure& error) const {
  if (closing_)
    return pause_while_closing * (1U << std::min(attempt_->failures, max_doublings_while_closing));
  auto longest = std::min(settings_.interval, longest_pause);
  if (error.retry_after_ms == 0)
    return longest;
  auto shift = std::min<uint64_t>(attempt_->failures, 10);
  return std::min(longest, std::chrono::milliseconds{uint64_t{error.retry_after_ms} << shift});
}

void buffered_database::complete(flush_outcome& out) {
  for (auto& operation : attempt_->batch.window()) {
    rows_.complete(operation);
    if (out.result == flush_outcome::verdict::written)
      ++generations_[operation.put.row.table];
    out.completed.push_back(std::move(operation));
  }
  attempt_->batch.complete();
  attempt_->failures = 0;
  attempt_->timeouts = 0;
  attempt_->in_doubt = false;
  if (attempt_->batch.finished())
    attempt_.reset();
}

flush_outcome buffered_database::outcome_of_attempt() {
  assert(attempt_);
  flush_outcome out;
  out.db = name_;
  out.key = attempt_->batch.request(name_, {}).idempotency_key;
  out.journaled = attempt_->batch.journaled();
  attempt_->under_way = false;
  attempt_->retry_at = {};
  return out;
}

void buffered_database::keep(flush_outcome& out) {
  out.result = flush_outcome::verdict::kept;
  attempt_->in_doubt |= out.error.outcome == outcome::unknown;
  attempt_->error = out.error;
  attempt_->retry_at = time_.now() + pause_after(out.error);
  ++attempt_->failures;
}

flush_outcome buffered_database::postpone(failure error) {
  auto out = outcome_of_attempt();
  out.error = std::move(error);
  keep(out);
  return out;
}

flush_outcome buffered_database::finish(const caf::expected<write_result>& answer) {
  auto out = outcome_of_attempt();
  if (answer) {
    out.commit_seq = answer->commit_seq;
    complete(out);
    return out;
  }
  out.error = describe(answer.error());
  if (is_transient(out.error)) {
    keep(out);
    return out;
  }
  // A definite answer to this key: neither this attempt nor an earlier one has had an effect.
  attempt_->timeouts = 0;
  attempt_->in_doubt = false;
  if (attempt_->batch.window().size() > 1) {
    out.result = flush_outcome::verdict::halved;
    attempt_->batch.halve();
    return out;
  }
  out.result = flush_outcome::verdict::rejected;
  complete(out);
  return out;
}

void buffered_database::close() noexcept {
  closing_ = true;
  if (attempt_) {
    attempt_->retry_at = {};
    attempt_->failures = 0;
  }
}

void buffered_database::want(const std::string& table, uint64_t number) {
  rows_.want(table, number);
  if (attempt_)
    attempt_->retry_at = {};
}

clock::steady buffered_database::next_due() const {
  if (!attempt_)
    return recovered_.empty() ? rows_.next_due() : clock::steady{};
  return attempt_->under_way ? clock::steady::max() : attempt_->retry_at;
}

uint64_t buffered_database::pending(const std::string& table, uint64_t number) const {
  auto result = rows_.count(table, number);
  auto spelled = rows_.spelling_of(table);
  auto count = [&](std::span<const outgoing_operation> operations) {
    for (const auto& operation : operations)
      if (operation.ends_row && operation.number <= number && (table.empty() || operation.put.row.table == spelled))
        ++result;
  };
  if (attempt_)
    count(attempt_->batch.rest());
  for (const auto& batch : recovered_)
    count(batch.rest());
  return result;
}

pending_operations buffered_database::apply(const checked_key& key, row_image& image) const {
  pending_operations result;
  const auto& row = key.row;
  auto table = rows_.spelling_of(row.table);
  // Whether the operation is about this row. If that cannot be decided from its key, the result is uncertain.
  auto is_meant = [&](const row_key& other, bool is_mergeable, bool keeps_order) {
    result.certain &= !(key.keeps_order && keeps_order);
    if (other.table != table)
      return false;
    result.certain &= key.canonical && is_mergeable && same_columns(other.columns, row.columns);
    return other.columns == row.columns;
  };
  for (const auto& batch : recovered_)
    for (const auto& operation : batch.rest())
      is_meant(operation.put.row, operation.is_mergeable, operation.keeps_order);
  auto updated = false;
  for (const auto& operation : attempt_ ? attempt_->batch.rest() : std::span<const outgoing_operation>{}) {
    if (!is_meant(operation.put.row, operation.is_mergeable, operation.keeps_order))
      continue;
    // If the update is in the database already, applying it once more would change the row that the upsert inserts.
    auto is_upsert = operation.put.operation == buffer_operation::upsert;
    result.wait |= updated && is_upsert && (attempt_->under_way || attempt_->in_doubt);
    updated = operation.put.operation == buffer_operation::update;
    for (const auto& from : operation.from)
      result.count += from.count;
    image.apply(operation.put);
  }
  rows_.for_each_row([&](const pending_row& waiting) {
    if (!is_meant(waiting.key(), waiting.is_mergeable(), waiting.keeps_order()))
      return;
    result.count += waiting.operations();
    waiting.apply(image);
  });
  return result;
}

uint64_t buffered_database::generation(const std::string& table) const {
  auto known = generations_.find(rows_.spelling_of(table));
  return known == generations_.end() ? 0 : known->second;
}

std::vector<unwritten_operation> buffered_database::give_up() {
  std::vector<unwritten_operation> result;
  auto error = attempt_ ? attempt_->error : failure{};
  auto take = [&](std::span<const outgoing_operation> operations, bool is_in_doubt) {
    for (const auto& operation : operations)
      result.push_back({operation, error, is_in_doubt});
  };
  if (attempt_) {
    // Only the operations in the request may have been written.
    auto is_in_doubt = attempt_->under_way || attempt_->in_doubt;
    auto in_request = is_in_doubt ? attempt_->batch.window().size() : size_t{0};
    take(attempt_->batch.rest().first(in_request), true);
    take(attempt_->batch.rest().subspan(in_request), false);
    attempt_.reset();
  }
  for (auto& batch : recovered_)
    take(batch.rest(), true);
  recovered_.clear();
  row_queue::demand all{time_.now(), true, rows_.size(), settings_.max_bytes};
  for (auto some = rows_.take(all); !some.empty(); some = rows_.take(all))
    take(some, false);
  return result;
}

} // namespace sluice
