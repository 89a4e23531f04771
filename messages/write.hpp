#pragma once

#include "messages/cancel_token.hpp"
#include "messages/error.hpp"
#include "messages/inspection.hpp"
#include "messages/peer_identity.hpp"
#include "messages/rowset.hpp"
#include "messages/statement.hpp"
#include "messages/ticket.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace sluice {

/// One write: a statement, or a list that is applied as a whole or not at all.
struct write_request {
  /// File name relative to the store root.
  std::string db;
  std::vector<statement> statements;
  /// The agent; at most 256 bytes of UTF-8 without control characters.
  std::string agent;
  /// Made up by the broker when empty.
  std::string request_id;
  /// With a key, repeating the same payload returns the first outcome and changes nothing.
  std::string idempotency_key;
  std::string correlation_id;
  /// Counted from the call; zero means the configured default.
  std::chrono::milliseconds deadline{0};
  /// False: executed without foreign keys, and so without their ON DELETE and ON UPDATE actions. Rows that refer to no
  /// parent row, and did not before, are refused (`errc::constraint`) before the request is committed.
  bool enforce_foreign_keys = true;
  peer_identity peer;
  /// How an answer in JSON writes large integers; the values themselves are the same in every form. Local to the
  /// process.
  integer_form integers = integer_form::number;
  /// When the front door took the request in; set by it, on this machine's steady clock, and local to the process.
  std::chrono::steady_clock::time_point received{};
  /// Set by the queue that has taken the request in; local to the process. Null where there is no such queue.
  std::shared_ptr<sluice::ticket> ticket{};
  /// The client can give the request up until it is executed. Local to the process.
  cancel_token cancel{};
  /// The thread that sent it runs the writer itself, because the request is known to be short. Local to the process.
  bool is_short = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, write_request& x) {
  auto deadline = static_cast<int64_t>(x.deadline.count());
  auto load = [&]() -> caf::error {
    x.deadline = std::chrono::milliseconds{deadline};
    return caf::none;
  };
  return f(caf::meta::type_name("write_request"), x.db, x.statements, x.agent, x.request_id, x.idempotency_key,
           x.correlation_id, deadline, x.enforce_foreign_keys, x.peer, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(write_request)

/// Bytes that a request accounts for in the queue bounds.
inline size_t footprint(const write_request& request) noexcept {
  auto total = sizeof(write_request);
  for (const auto& stmt : request.statements)
    total += footprint(stmt);
  return total;
}

/// The result of one statement of a write.
struct statement_result {
  int64_t changes = 0;
  int64_t last_insert_rowid = 0;
  /// RETURNING rows; empty for most statements.
  rowset rows;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, statement_result& x) {
  return f(caf::meta::type_name("statement_result"), x.changes, x.last_insert_rowid, x.rows);
}
SLUICE_DECLARE_INSPECT(statement_result)

/// The answer to a write; that it exists means that the write is durable.
struct write_result {
  /// True when a request with the same key and payload had already been applied; this is its outcome.
  bool replayed = false;
  /// The commit that holds the write; later commits have larger numbers.
  uint64_t commit_seq = 0;
  std::string request_id;
  std::vector<statement_result> results;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, write_result& x) {
  return f(caf::meta::type_name("write_result"), x.replayed, x.commit_seq, x.request_id, x.results);
}
SLUICE_DECLARE_INSPECT(write_result)

} // namespace sluice
