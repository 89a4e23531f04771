#pragma once

#include "messages/cancel_token.hpp"
#include "messages/inspection.hpp"
#include "messages/statement.hpp"
#include "messages/write.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The agent of the writes that the write-behind buffer makes.
inline constexpr const char* buffer_agent = "sluice:buffer";

/// The effect of a buffered operation on the row with its key; the protocol calls `erase` "delete".
enum class buffer_operation : uint8_t { upsert, update, erase };

constexpr std::string_view to_string(buffer_operation operation) {
  constexpr std::array<std::string_view, 3> words{"upsert", "update", "delete"};
  return words[static_cast<size_t>(operation)];
}

/// A row of a table by its key: every column of the primary key, or of a unique index, with a value that is not NULL.
struct row_key {
  /// File name relative to the store root.
  std::string db;
  std::string table;
  std::vector<named_value> columns;

  friend bool operator==(const row_key&, const row_key&) = default;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, row_key& x) {
  return f(caf::meta::type_name("row_key"), x.db, x.table, x.columns);
}
SLUICE_DECLARE_INSPECT(row_key)

/// One operation for the write-behind buffer. It leaves columns that it does not name unchanged.
struct buffer_put {
  row_key row;
  buffer_operation operation = buffer_operation::upsert;
  /// The columns that an upsert or update sets; none of the key's columns, and empty for a delete.
  std::vector<named_value> values;
  std::string agent;
  /// How long the caller waits for room instead of being refused with `overloaded`; zero means not at all.
  std::chrono::milliseconds wait{0};
  peer_identity peer;
  /// Ends the wait. Local to the process.
  cancel_token cancel{};
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, buffer_put& x) {
  auto wait = static_cast<int64_t>(x.wait.count());
  auto load = [&]() -> caf::error {
    x.wait = std::chrono::milliseconds{wait};
    return caf::none;
  };
  return f(caf::meta::type_name("buffer_put"), x.row, x.operation, x.values, x.agent, wait, x.peer,
           caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(buffer_put)

/// The answer to a put: the operation is in memory and, if there is a journal, on disk.
struct buffer_receipt {
  /// Rows that wait to be written, this one included.
  uint64_t pending = 0;
  /// Whether the operation survives a kill of the broker.
  bool journaled = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, buffer_receipt& x) {
  return f(caf::meta::type_name("buffer_receipt"), x.pending, x.journaled);
}
SLUICE_DECLARE_INSPECT(buffer_receipt)

/// Asks for a row as it will be after all pending operations are written.
struct buffer_get {
  row_key row;
  std::string agent;
  peer_identity peer;
  /// As in `write_request`.
  integer_form integers = integer_form::number;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, buffer_get& x) {
  return f(caf::meta::type_name("buffer_get"), x.row, x.agent, x.peer);
}
SLUICE_DECLARE_INSPECT(buffer_get)

/// The row in the database with the pending operations applied.
struct buffered_row {
  /// Whether there is such a row.
  bool found = false;
  /// Operations on it that wait to be written.
  uint64_t pending = 0;
  /// The columns, key columns included, in the table's order. A row that is not in the database yet has only the
  /// columns that were named; the others get their defaults when it is written.
  std::vector<named_value> columns;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, buffered_row& x) {
  return f(caf::meta::type_name("buffered_row"), x.found, x.pending, x.columns);
}
SLUICE_DECLARE_INSPECT(buffered_row)

/// Asks the buffer to write everything pending now; an empty field selects everything.
struct flush_request {
  std::string db;
  std::string table;
  std::string agent;
  peer_identity peer{};
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, flush_request& x) {
  return f(caf::meta::type_name("flush_request"), x.db, x.table, x.agent, x.peer);
}
SLUICE_DECLARE_INSPECT(flush_request)

/// The result of a flush.
struct flush_report {
  /// Rows written by it.
  uint64_t flushed = 0;
  /// Rows that the database refused.
  uint64_t set_aside = 0;
  /// Rows that could not be written this time; the buffer tries again later.
  uint64_t kept = 0;
  /// The reason why rows were kept, for people; empty when none were.
  std::string reason;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, flush_report& x) {
  return f(caf::meta::type_name("flush_report"), x.flushed, x.set_aside, x.kept, x.reason);
}
SLUICE_DECLARE_INSPECT(flush_report)

/// A row that the database refused when the buffer wrote it alone.
struct rejected_row {
  /// Given by the store of rejected rows, from 1.
  uint64_t id = 0;
  buffer_put operation;
  errc code = errc::constraint;
  std::string message;
  /// Microseconds since the Unix epoch.
  int64_t ts_us = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, rejected_row& x) {
  return f(caf::meta::type_name("rejected_row"), x.id, x.operation, x.code, x.message, x.ts_us);
}
SLUICE_DECLARE_INSPECT(rejected_row)

/// Lists rejected rows.
struct rejected_query {
  /// Rows after this id; for paging.
  uint64_t after_id = 0;
  uint64_t limit = 1'000;
  /// As in `write_request`.
  integer_form integers = integer_form::number;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, rejected_query& x) {
  return f(caf::meta::type_name("rejected_query"), x.after_id, x.limit);
}
SLUICE_DECLARE_INSPECT(rejected_query)

struct rejected_page {
  std::vector<rejected_row> rows;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, rejected_page& x) {
  return f(caf::meta::type_name("rejected_page"), x.rows);
}
SLUICE_DECLARE_INSPECT(rejected_page)

/// The decision on rejected rows: put them back into the buffer, or delete them.
struct rejected_decision {
  /// Empty means all of them.
  std::vector<uint64_t> ids;
  bool discard = false;
  /// The agent that decides.
  std::string agent{};
  peer_identity peer{};
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, rejected_decision& x) {
  return f(caf::meta::type_name("rejected_decision"), x.ids, x.discard, x.agent, x.peer);
}
SLUICE_DECLARE_INSPECT(rejected_decision)

} // namespace sluice
