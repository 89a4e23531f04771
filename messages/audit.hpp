#pragma once

#include "messages/inspection.hpp"
#include "messages/invalidation.hpp"
#include "messages/request_grant.hpp"
#include "messages/write.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The type of an audit record. A `cache_hit` record may stand for many hits of one agent on one key in one second; an
/// `audit_gap` stands for `count` records that were lost while the audit file could not be written, or with a `key`,
/// for those in the damaged file of that name; a `buffered` one for `count` operations that an agent had put into the
/// write-behind buffer, and that went into one commit. A `ledger_epoch` is a new epoch of a ledger: `key` is the epoch,
/// `commit_seq` its first number; a `repair` is one by `sluice doctor --repair`. A `file_event` is a change to the
/// files of a database by another program, a `journal_recovery` the rollback of a killed program's transaction. A
/// `migrate` is a write that is a migration. Those
/// from `buffer_put` on are methods of the protocol: they are recorded when they are refused, and those that change
/// something also when they are done. `other` is a request that this version does not know.
enum class request_type : uint8_t {
  write,
  read,
  cache_hit,
  foreign_commit,
  audit_gap,
  buffered,
  ledger_epoch,
  repair,
  file_event,
  journal_recovery,
  buffer_put,
  buffer_get,
  buffer_rejected,
  buffer_requeue,
  buffer_discard,
  flush,
  cancel,
  shutdown,
  subscribe,
  unsubscribe,
  hello,
  ping,
  status,
  audit_list,
  audit_verify,
  audit_prune,
  audit_refused,
  log,
  logs_recent,
  retry_reset,
  open,
  cursor_open,
  cursor_next,
  cursor_close,
  call,
  operations,
  migrate,
  capsule_issue,
  capsule_verify,
  capsule_revoke,
  proof,
  promote,
  promotions,
  schema,
  other
};

namespace detail {

inline constexpr std::array<std::string_view, 45> request_names{"write",
                                                                "read",
                                                                "cache_hit",
                                                                "foreign_commit",
                                                                "audit_gap",
                                                                "buffered",
                                                                "ledger_epoch",
                                                                "repair",
                                                                "file_event",
                                                                "journal_recovery",
                                                                "buffer.put",
                                                                "buffer.get",
                                                                "buffer.rejected",
                                                                "buffer.requeue",
                                                                "buffer.discard",
                                                                "flush",
                                                                "cancel",
                                                                "shutdown",
                                                                "subscribe",
                                                                "unsubscribe",
                                                                "hello",
                                                                "ping",
                                                                "status",
                                                                "audit.list",
                                                                "audit.verify",
                                                                "audit.prune",
                                                                "audit.refused",
                                                                "log",
                                                                "logs.recent",
                                                                "retry.reset",
                                                                "open",
                                                                "cursor.open",
                                                                "cursor.next",
                                                                "cursor.close",
                                                                "call",
                                                                "operations",
                                                                "migrate",
                                                                "capsule.issue",
                                                                "capsule.verify",
                                                                "capsule.revoke",
                                                                "proof",
                                                                "promote",
                                                                "promotions",
                                                                "schema",
                                                                "other"};
static_assert(request_names.size() == static_cast<size_t>(request_type::other) + 1);

} // namespace detail

/// The name of the record's type in the protocol; for a method, the method's name.
constexpr std::string_view to_string(request_type type) { return detail::request_names[static_cast<size_t>(type)]; }

/// The inverse; `other` for a name of another version.
constexpr request_type request_type_of(std::string_view name) {
  for (size_t i = 0; i < detail::request_names.size(); ++i)
    if (detail::request_names[i] == name)
      return static_cast<request_type>(i);
  return request_type::other;
}

/// The type of the record of a write.
inline request_type recorded_type(const write_request& request) noexcept {
  return request.migration ? request_type::migrate : request_type::write;
}

/// Whether records of this type, if they are committed, stand for requests that the ledger of the database records,
/// too.
constexpr bool is_in_ledger(request_type type) noexcept {
  return type == request_type::write || type == request_type::migrate;
}
constexpr bool is_in_ledger(std::string_view type) noexcept {
  return type == to_string(request_type::write) || type == to_string(request_type::migrate);
}

/// The type of a request that changed these tables: a commit record has no type, but only migrations change theirs.
inline request_type recovered_type(const std::vector<std::string>& tables) {
  auto is_migration = std::find(tables.begin(), tables.end(), migrations_table) != tables.end();
  return is_migration ? request_type::migrate : request_type::write;
}

/// One line of the audit: the agent, the database, the request and its outcome.
struct audit_record {
  /// Place in the chain, from 1; given by the audit store.
  uint64_t seq = 0;
  /// Microseconds since the Unix epoch.
  int64_t ts_us = 0;
  std::string request_id;
  std::string agent;
  std::string db;
  request_type type = request_type::write;
  /// The idempotency key of a write, the fingerprint of a read.
  std::string key;
  /// "committed", "replayed" or "ok", else the error code.
  std::string status;
  uint64_t latency_us = 0;
  uint64_t commit_seq = 0;
  /// Tables that the write touched; null when none.
  table_set tables;
  std::string correlation_id;
  peer_identity peer;
  uint32_t count = 1;
  /// True when the record was rebuilt from a database's ledger after a crash.
  bool recovered = false;
  /// The capsule and the policy of a write with a capsule; null for none. Only its hashes are kept.
  std::shared_ptr<const request_grant> grant{};
  /// Of a request that the policy refused: why, with the rule. Empty otherwise.
  std::string reason{};
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, audit_record& x) {
  auto tables = x.tables ? *x.tables : std::vector<std::string>{};
  auto capsule = x.grant ? x.grant->capsule_hash : std::string{};
  auto policy = x.grant ? x.grant->policy_hash : std::string{};
  auto load = [&]() -> caf::error {
    x.tables = std::make_shared<const std::vector<std::string>>(std::move(tables));
    if (!capsule.empty())
      x.grant = std::make_shared<const request_grant>(request_grant{{}, std::move(capsule), std::move(policy), 0});
    return caf::none;
  };
  return f(caf::meta::type_name("audit_record"), x.seq, x.ts_us, x.request_id, x.agent, x.db, x.type, x.key, x.status,
           x.latency_us, x.commit_seq, tables, x.correlation_id, x.peer, x.count, x.recovered, capsule, policy,
           x.reason, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(audit_record)

/// A request of which no actor keeps a record: it was refused too early, or it changed something without being a write.
/// Its fields hold as much of the request as could be read; the names are as the client wrote them.
struct unrecorded_request {
  request_type type = request_type::other;
  std::string agent;
  /// The agent of the connection, under which the request is recorded when `agent` is not a usable name.
  std::string link_agent;
  std::string db;
  std::string request_id;
  std::string correlation_id;
  peer_identity peer;
  uint32_t count = 1;
  /// As in `audit_record`.
  std::string reason{};
};

/// Which records to list; empty fields select everything.
struct audit_query {
  std::string agent;
  std::string db;
  std::string status;
  /// Microseconds since the Unix epoch, inclusive.
  int64_t since_us = 0;
  /// Records after this place in the chain; for paging.
  uint64_t after_seq = 0;
  /// The maximum number of records, in chain order; with `newest`, the last ones.
  uint64_t limit = 1000;
  bool newest = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, audit_query& x) {
  return f(caf::meta::type_name("audit_query"), x.agent, x.db, x.status, x.since_us, x.after_seq, x.limit, x.newest);
}
SLUICE_DECLARE_INSPECT(audit_query)

struct audit_page {
  /// The root of the store that these records belong to.
  std::string store_root;
  std::vector<audit_record> records;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, audit_page& x) {
  return f(caf::meta::type_name("audit_page"), x.store_root, x.records);
}
SLUICE_DECLARE_INSPECT(audit_page)

/// Asks the audit to remove its oldest records: those of whole segments without a record as new as `before_us`.
struct audit_prune {
  /// Microseconds since the Unix epoch.
  int64_t before_us = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, audit_prune& x) {
  return f(caf::meta::type_name("audit_prune"), x.before_us);
}
SLUICE_DECLARE_INSPECT(audit_prune)

struct audit_pruned {
  /// Records that this request removed.
  uint64_t records = 0;
  /// Place of the oldest remaining record; 0 when there is none.
  uint64_t first_seq = 0;
  /// Whether further old records remain: a request removes a bounded number.
  bool has_more = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, audit_pruned& x) {
  return f(caf::meta::type_name("audit_pruned"), x.records, x.first_seq, x.has_more);
}
SLUICE_DECLARE_INSPECT(audit_pruned)

/// The result of checking the whole chain.
struct audit_verdict {
  uint64_t records = 0;
  uint64_t broken = 0;
  /// Place of the first broken record; 0 when the chain is intact.
  uint64_t first_broken = 0;
  /// The error, for people.
  std::string reason;
  /// The hash of the last record, in hex. Write it down elsewhere to notice a chain that was cut short.
  std::string head;
  /// Further problems, for people: ledgers that contradict the audit, damaged files that wait for a decision.
  std::vector<std::string> problems{};
  /// Records that were removed since the store was made; the chain begins behind them.
  uint64_t pruned = 0;

  bool intact() const noexcept { return broken == 0 && problems.empty(); }
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, audit_verdict& x) {
  return f(caf::meta::type_name("audit_verdict"), x.records, x.broken, x.first_broken, x.reason, x.head, x.problems,
           x.pruned);
}
SLUICE_DECLARE_INSPECT(audit_verdict)

} // namespace sluice
