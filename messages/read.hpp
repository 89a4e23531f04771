#pragma once

#include "messages/cancel_token.hpp"
#include "messages/error.hpp"
#include "messages/inspection.hpp"
#include "messages/rowset.hpp"
#include "messages/statement.hpp"
#include "messages/write.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace sluice {

/// The freshness that a read requires. `cached` is never older than any acknowledged write of the broker; `fresh`
/// queries the database.
enum class freshness : uint8_t { cached, fresh };

/// The origin of an answer: the cache, another caller's identical read, or a query of its own.
enum class read_source : uint8_t { cache, joined, database };

constexpr std::string_view to_string(read_source source) {
  constexpr std::array<std::string_view, 3> words{"cache", "joined", "database"};
  return words[static_cast<size_t>(source)];
}

/// The bounds of one read; zero means the configured default.
struct read_limits {
  uint64_t max_rows = 0;
  uint64_t max_bytes = 0;
  std::chrono::milliseconds timeout{0};
  /// For a cursor: the time until its client must request the next page. Unused in a read.
  std::chrono::milliseconds idle{0};

  friend bool operator==(const read_limits&, const read_limits&) = default;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, read_limits& x) {
  auto timeout = static_cast<int64_t>(x.timeout.count());
  auto idle = static_cast<int64_t>(x.idle.count());
  auto load = [&]() -> caf::error {
    x.timeout = std::chrono::milliseconds{timeout};
    x.idle = std::chrono::milliseconds{idle};
    return caf::none;
  };
  return f(caf::meta::type_name("read_limits"), x.max_rows, x.max_bytes, timeout, idle, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(read_limits)

/// One read-only statement, or several on one snapshot.
struct read_request {
  /// File name relative to the store root.
  std::string db;
  statement query;
  std::string agent;
  std::string request_id;
  std::string correlation_id;
  sluice::freshness freshness = freshness::cached;
  /// The answer is at least as new as this commit; a number that no commit has yet is refused.
  uint64_t min_seq = 0;
  read_limits limits;
  peer_identity peer;
  cancel_token cancel;
  /// As in `write_request`; cached answers hold the values and therefore serve every form.
  integer_form integers = integer_form::number;
  /// As in `write_request`.
  std::chrono::steady_clock::time_point received{};
  /// How old an answer from the cache may be, within the cache's own bound; zero for no bound but that. Local to the
  /// process.
  std::chrono::milliseconds max_age{0};
  /// Statements after `query`. All see the same snapshot, and `limits` hold for all together. The cache does not keep
  /// such a read.
  std::vector<statement> more{};
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, read_request& x) {
  return f(caf::meta::type_name("read_request"), x.db, x.query, x.agent, x.request_id, x.correlation_id, x.freshness,
           x.min_seq, x.limits, x.peer, x.more);
}
SLUICE_DECLARE_INSPECT(read_request)

/// The rows of one statement of a read that has several.
struct statement_rows {
  std::shared_ptr<const rowset> rows;
  bool truncated = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, statement_rows& x) {
  auto rows = x.rows ? *x.rows : rowset{};
  auto load = [&]() -> caf::error {
    x.rows = std::make_shared<const rowset>(std::move(rows));
    return caf::none;
  };
  return f(caf::meta::type_name("statement_rows"), rows, x.truncated, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(statement_rows)

/// The answer to a read. Rows are shared and immutable, so an answer is cheap to copy and safe to pass on.
struct read_result {
  std::shared_ptr<const rowset> rows;
  /// True when a bound truncated the rows.
  bool truncated = false;
  read_source source = read_source::database;
  /// A commit that the rows include, together with all before it; they may include later ones.
  uint64_t as_of_seq = 0;
  /// The rows of the statements in `read_request::more`, in that order. `truncated` is true when the rows of any
  /// statement were cut.
  std::vector<statement_rows> more{};
  /// In a read with several statements: whether `rows`, those of the first one, were cut.
  bool first_truncated = false;
};

/// Bytes of its rows.
inline size_t footprint(const read_result& result) noexcept {
  auto total = result.rows ? result.rows->footprint() : 0;
  for (const auto& each : result.more)
    total += each.rows ? each.rows->footprint() : 0;
  return total;
}

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, read_result& x) {
  auto rows = x.rows ? *x.rows : rowset{};
  auto load = [&]() -> caf::error {
    x.rows = std::make_shared<const rowset>(std::move(rows));
    return caf::none;
  };
  return f(caf::meta::type_name("read_result"), rows, x.truncated, x.source, x.as_of_seq, x.more, x.first_truncated,
           caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(read_result)

/// The tables that a statement reads, as SQLite's authorizer reported when it was prepared.
struct read_set {
  std::vector<std::string> tables;
  /// False when the same statement may have another answer on the same data.
  bool deterministic = false;
};

/// The answer of a reader to the cache actor.
struct executed_read {
  read_result result;
  std::shared_ptr<const read_set> reads;
  /// Whether the rows may include a commit of another program that no read has reported before.
  bool external_commit = false;
  /// Whether these rows may be the first from replaced files, whose commits are different ones.
  bool files_replaced = false;
  /// The time that the reader spent on it, in microseconds.
  uint32_t busy_us = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, read_set& x) {
  return f(caf::meta::type_name("read_set"), x.tables, x.deterministic);
}
SLUICE_DECLARE_INSPECT(read_set)

/// A query for a reader. `flight` is the cache actor's id for it; a reader may be given several queries in advance.
struct run_read {
  uint64_t flight = 0;
  read_request request;
  /// The query is known to take less time than waking up a thread for it.
  bool is_tiny = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, executed_read& x) {
  auto seen = x.reads ? *x.reads : read_set{};
  auto load = [&]() -> caf::error {
    x.reads = std::make_shared<const read_set>(std::move(seen));
    return caf::none;
  };
  return f(caf::meta::type_name("executed_read"), x.result, seen, x.external_commit, x.files_replaced, x.busy_us,
           caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(executed_read)

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, run_read& x) {
  return f(caf::meta::type_name("run_read"), x.flight, x.request, x.is_tiny);
}
SLUICE_DECLARE_INSPECT(run_read)

/// The outcome of `run_read`.
struct read_done {
  uint64_t flight = 0;
  executed_read answer;
  /// Set when the query failed; the answer then has only `busy_us`.
  caf::error error;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, read_done& x) {
  return f(caf::meta::type_name("read_done"), x.flight, x.answer, x.error);
}
SLUICE_DECLARE_INSPECT(read_done)

} // namespace sluice
