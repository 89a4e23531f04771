#include "actors/buffer/flush_batch.hpp"

#include "actors/buffer/row_statement.hpp"

#include <cassert>

namespace sluice {

flush_batch::flush_batch(std::vector<outgoing_operation> operations)
  : operations_(std::move(operations)), ends_{operations_.size()} {}

flush_batch::flush_batch(journal_batch sent, std::vector<outgoing_operation> operations)
  : operations_(std::move(operations)), ends_{operations_.size()}, current_(std::move(sent)), journaled_(true) {}

std::span<outgoing_operation> flush_batch::window() noexcept {
  return std::span{operations_}.subspan(done_, end() - done_);
}

std::span<const outgoing_operation> flush_batch::rest() const noexcept { return std::span{operations_}.subspan(done_); }

const journal_batch& flush_batch::request(const std::string& db, const std::string& key) {
  assert(!finished());
  if (!current_.idempotency_key.empty())
    return current_;
  current_ = {};
  current_.idempotency_key = key;
  auto& request = current_.request;
  request.db = db;
  request.agent = buffer_agent;
  request.request_id = key;
  request.idempotency_key = key;
  for (const auto& x : window()) {
    request.statements.push_back(statement_of(x.put));
    current_.operations.insert(current_.operations.end(), x.journal.begin(), x.journal.end());
  }
  return current_;
}

void flush_batch::complete() {
  assert(!finished());
  done_ = end();
  while (!ends_.empty() && ends_.back() == done_)
    ends_.pop_back();
  current_ = {};
  journaled_ = false;
}

void flush_batch::halve() {
  assert(window().size() > 1);
  ends_.push_back(done_ + (end() - done_) / 2);
  current_ = {};
  journaled_ = false;
}

} // namespace sluice
