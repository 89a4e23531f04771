#pragma once

#include "messages/audit.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::sqlite {

/// An audit record as stored in the file; its texts belong to the record or the statement of its origin.
struct audit_row {
  int64_t seq = 0;
  int64_t ts_us = 0;
  std::string_view request_id;
  std::string_view agent;
  /// Row of the table `stores`.
  int64_t store = 0;
  std::string_view db;
  std::string_view request_type;
  std::string_view key;
  std::string_view status;
  int64_t latency_us = 0;
  int64_t commit_seq = 0;
  /// A JSON array of names; empty for none.
  std::string_view tables;
  std::string_view correlation_id;
  int64_t peer_uid = 0;
  int64_t peer_pid = 0;
  int64_t count = 1;
  int64_t recovered = 0;
  /// Only in segments, which leave it out when it is empty; not one of `for_each_field`.
  std::string_view reason;
  /// The hashes of the capsule and of the policy, 32 bytes each; both empty for none. Only records in segments have
  /// them.
  std::string_view capsule{};
  std::string_view policy{};
};

/// Calls `f(column, field)` for every field in order: the columns of the table `audit` of format 1, except its last
/// two, `prev_hash` and `hash`. Its statements and hashes, and the records of segments, are derived from this list.
/// Fields are `int64_t` or `std::string_view`.
template <class Row, class F> void for_each_field(Row& row, F&& f) {
  f("seq", row.seq);
  f("ts_us", row.ts_us);
  f("request_id", row.request_id);
  f("agent", row.agent);
  f("store", row.store);
  f("db", row.db);
  f("request_type", row.request_type);
  f("key", row.key);
  f("status", row.status);
  f("latency_us", row.latency_us);
  f("commit_seq", row.commit_seq);
  f("tables", row.tables);
  f("correlation_id", row.correlation_id);
  f("peer_uid", row.peer_uid);
  f("peer_pid", row.peer_pid);
  f("count", row.count);
  f("recovered", row.recovered);
}

/// The row of `record` in the store `store`. `tables` is `tables_text(record.tables)`; it and `record` outlive the row.
audit_row to_row(const audit_record& record, int64_t store, std::string_view tables);

/// The reverse; the result is well formed even when the file is damaged.
audit_record to_record(const audit_row& row);

/// Table names as stored in the file.
std::string tables_text(const table_set& tables);

/// A row of the table `audit` with its place in the chain.
struct stored_audit_row {
  audit_row row;
  /// The hash of the record before. Each row stores it, so that a record can be checked alone when its neighbours are
  /// damaged.
  std::string_view prev_hash;
  std::string_view hash;
  /// Whether every column holds a value of its type.
  bool is_well_typed = true;
};

/// Reads the columns of the current row; valid until the next step.
stored_audit_row read_row(const prepared_statement& from);

/// The hash of `row`, which covers its fields, the root of its store, and through `prev_hash` all records before it.
chain_hash::digest link_hash(chain_hash& hash, const audit_row& row, std::string_view store_root,
                             std::string_view prev_hash);

/// "seq, ts_us, ..., prev_hash, hash": the columns in order, for statements.
const std::string& audit_columns();

} // namespace sluice::sqlite
