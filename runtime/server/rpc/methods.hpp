#pragma once

#include "messages/audit.hpp"
#include "runtime/policy/access_policy.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::rpc {

/// Whether a call may change what the store holds, so that a read-only broker refuses it. `call` is refused only for
/// operations that write.
enum class method_data : uint8_t { keeps, changes };

/// The effect of a call, which decides whether a client may repeat it when the connection was lost before the answer.
enum class method_effect : uint8_t {
  /// It changes nothing: the call may be sent again.
  none,
  /// It changes nothing, but a repeated call would not return a lost answer.
  consumes,
  /// It changes something: the call may be sent again only if it has an idempotency key.
  changes,
  /// It changes something, and does so once: the call may be sent again.
  changes_once,
};

/// Which default limits the wait of a client if the call sets none.
enum class method_wait : uint8_t { write_deadline, read_timeout, long_work };

/// When the audit records a call.
enum class method_audit : uint8_t {
  /// When it was refused.
  refusals,
  /// When it was refused or done.
  all,
  /// When it was refused before it reached a database or the buffer, whose actors record it otherwise.
  until_handed_on,
};

/// The description of one method of the protocol. The dispatcher, the metrics, the clients' rules for repeating a call,
/// the bridges and the table in docs/reference/protocol.md are derived from it.
///
/// To add one: a row in the table below, its request_type in messages/audit.hpp, a decoder in codec.hpp if it has
/// parameters, and a handler in broker_handler.hpp (docs/contributing.md).
struct method {
  std::string_view name = {};
  request_type type = request_type::other;
  /// What a policy must allow its caller. To use what the connection has already, such as a cursor, takes nothing.
  method_access access = method_access::administration;
  method_data data = method_data::changes;
  method_effect effect = method_effect::none;
  method_audit audited = method_audit::refusals;
  method_wait wait = method_wait::write_deadline;
  /// The parameter that limits the time of the call, in milliseconds; empty if there is none.
  std::string_view time_parameter = {};
  /// Whether it needs a connection to the socket: bridges and clients in the broker's process refuse it.
  bool needs_connection = false;
  /// The MCP tool that calls it; empty if there is none.
  std::string_view mcp_tool = {};
  /// The names of its parameters, separated by spaces.
  std::string_view parameters = {};
  /// Its effect, in a sentence without a full stop.
  std::string_view summary = {};
};

/// All methods, in the order of `handlers` and of the table in docs/reference/protocol.md.
// clang-format off
inline constexpr std::array all_methods{
  method{"write", request_type::write, method_access::raw_sql, method_data::changes, method_effect::changes, method_audit::until_handed_on, method_wait::write_deadline, "deadline_ms", false,
         "sluice_write",
         "db statements sql params expect agent idempotency_key deadline_ms request_id correlation_id integers foreign_keys "
         "capsule",
         "Applies statements in one transaction, all or none"},
  method{"read", request_type::read, method_access::raw_sql, method_data::keeps, method_effect::none, method_audit::until_handed_on, method_wait::read_timeout, "timeout_ms", false,
         "sluice_read",
         "db sql params statements agent freshness min_seq max_rows max_bytes timeout_ms request_id correlation_id integers",
         "Runs one query, or several on one snapshot, within bounds"},
  method{"call", request_type::call, method_access::operation, method_data::changes, method_effect::changes, method_audit::until_handed_on, method_wait::write_deadline, "deadline_ms", false, "",
         "operation params agent idempotency_key deadline_ms request_id correlation_id integers read_only capsule",
         "Executes an operation of the catalogue"},
  method{"migrate", request_type::migrate, method_access::raw_sql, method_data::changes, method_effect::changes_once, method_audit::until_handed_on, method_wait::write_deadline,
         "deadline_ms", false, "", "db name sql agent deadline_ms request_id correlation_id",
         "Applies a numbered migration, once"},
  method{"operations", request_type::operations, method_access::anyone, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "",
         "agent", "Lists the operations that the agent may call"},
  method{"capsule.issue", request_type::capsule_issue, method_access::anyone, method_data::changes, method_effect::changes, method_audit::all, method_wait::write_deadline, "", false, "",
         "holder tier scopes expires_ms parent agent", "Issues a capsule: a signed grant that expires"},
  method{"capsule.verify", request_type::capsule_verify, method_access::anyone, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "",
         "capsule agent", "Says what a capsule grants, and whether it is valid"},
  method{"capsule.revoke", request_type::capsule_revoke, method_access::administration, method_data::changes, method_effect::none, method_audit::all, method_wait::write_deadline, "", false, "",
         "capsule agent", "Revokes a capsule and those derived from it"},
  method{"proof", request_type::proof, method_access::administration, method_data::keeps, method_effect::none, method_audit::all, method_wait::long_work, "", false, "",
         "db first last agent", "Makes a proof of commits, which can be checked without the store"},
  method{"promote", request_type::promote, method_access::administration, method_data::changes, method_effect::none, method_audit::all, method_wait::long_work, "", false, "",
         "proof agent", "Checks a proof against the store, and records that it was accepted"},
  method{"promotions", request_type::promotions, method_access::observation, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "",
         "limit agent", "Lists the accepted proofs"},
  method{"schema", request_type::schema, method_access::raw_sql, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "sluice_schema",
         "db agent", "Lists databases with their tables and columns"},
  method{"cursor.open", request_type::cursor_open, method_access::raw_sql, method_data::keeps, method_effect::none, method_audit::until_handed_on, method_wait::read_timeout, "timeout_ms",
         false, "",
         "db sql params agent freshness min_seq max_rows max_bytes timeout_ms request_id correlation_id integers idle_ms",
         "Begins to read an answer of any size, and gives its first page"},
  method{"cursor.next", request_type::cursor_next, method_access::anyone, method_data::keeps, method_effect::consumes, method_audit::until_handed_on, method_wait::long_work, "", false, "",
         "cursor agent", "Gives the next page of a cursor"},
  method{"cursor.close", request_type::cursor_close, method_access::anyone, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "",
         "cursor agent", "Ends a cursor"},
  method{"hello", request_type::hello, method_access::anyone, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", true, "",
         "protocol client root", "Says which protocol the client speaks and which store it means"},
  method{"ping", request_type::ping, method_access::anyone, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "",
         "", "Answers at once"},
  method{"cancel", request_type::cancel, method_access::anyone, method_data::keeps, method_effect::changes, method_audit::all, method_wait::write_deadline, "", false, "",
         "request_id agent as_operator", "Ends a request that is under way"},
  method{"status", request_type::status, method_access::observation, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "sluice_status",
         "agent", "Shows the broker, its databases and what runs"},
  method{"audit.list", request_type::audit_list, method_access::observation, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "",
         "agent db status since_us after_seq limit newest caller", "Lists audit records"},
  method{"audit.verify", request_type::audit_verify, method_access::observation, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::long_work, "", false, "",
         "agent", "Checks the hash chains of the audit and the ledgers"},
  method{"audit.prune", request_type::audit_prune, method_access::administration, method_data::changes, method_effect::none, method_audit::all, method_wait::long_work, "", false, "",
         "before_us agent", "Removes old audit records, and signs an anchor in their place"},
  method{"audit.refused", request_type::audit_refused, method_access::anyone, method_data::keeps, method_effect::changes, method_audit::refusals, method_wait::write_deadline, "", false,
         "", "status method agent db request_id correlation_id reason count",
         "Records requests that a bridge refused"},
  method{"subscribe", request_type::subscribe, method_access::raw_sql, method_data::keeps, method_effect::changes, method_audit::refusals, method_wait::write_deadline, "", true, "",
         "db tables from_seq agent", "Sends a notification for each commit that changes the tables"},
  method{"unsubscribe", request_type::unsubscribe, method_access::anyone, method_data::keeps, method_effect::changes, method_audit::refusals, method_wait::write_deadline, "", true, "",
         "subscription", "Ends a subscription"},
  method{"shutdown", request_type::shutdown, method_access::administration, method_data::keeps, method_effect::changes, method_audit::all, method_wait::write_deadline, "", false, "",
         "agent", "Stops the broker when its requests have been answered"},
  method{"log", request_type::log, method_access::anyone, method_data::changes, method_effect::changes, method_audit::refusals, method_wait::write_deadline, "", false, "",
         "level message source agent", "Adds an entry to the log database"},
  method{"logs.recent", request_type::logs_recent, method_access::observation, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false, "",
         "level source agent contains since after_id limit newest caller", "Lists entries of the log database"},
  method{"retry.reset", request_type::retry_reset, method_access::administration, method_data::changes, method_effect::none, method_audit::all, method_wait::write_deadline, "", false, "",
         "agent", "Sets the counters of lock retries to zero"},
  method{"buffer.put", request_type::buffer_put, method_access::raw_sql, method_data::changes, method_effect::changes, method_audit::until_handed_on, method_wait::write_deadline, "wait_ms",
         false, "", "db table operation key values agent wait_ms", "Queues an operation on one row in the write-behind buffer"},
  method{"buffer.get", request_type::buffer_get, method_access::raw_sql, method_data::keeps, method_effect::none, method_audit::until_handed_on, method_wait::write_deadline, "", false, "",
         "db table key agent integers", "Reads one row with the operations that wait for it"},
  method{"flush", request_type::flush, method_access::raw_sql, method_data::changes, method_effect::none, method_audit::until_handed_on, method_wait::long_work, "", false, "",
         "db table agent", "Writes what waits in the buffer"},
  method{"buffer.rejected", request_type::buffer_rejected, method_access::raw_sql, method_data::keeps, method_effect::none, method_audit::refusals, method_wait::write_deadline, "", false,
         "", "after_id limit integers agent", "Lists rows that the database refused"},
  method{"buffer.requeue", request_type::buffer_requeue, method_access::raw_sql, method_data::changes, method_effect::changes, method_audit::until_handed_on, method_wait::write_deadline, "",
         false, "", "ids agent", "Queues rejected rows again"},
  method{"buffer.discard", request_type::buffer_discard, method_access::raw_sql, method_data::changes, method_effect::changes, method_audit::until_handed_on, method_wait::write_deadline, "",
         false, "", "ids agent", "Deletes rejected rows"},
};
// clang-format on

/// The row of `all_methods`; null if there is no such method.
const method* find_method(std::string_view name) noexcept;

/// The parameter with the name of the agent that sends the call: `agent`, or `caller` where `agent` selects records.
/// Empty if there is none.
std::string_view sender_parameter(const method& method) noexcept;

/// Whether a call counts for the rate of its agent: not one that ends what the agent has, or that has no agent.
bool counts_for_rate(const method& method) noexcept;

/// Whether any method has a parameter of this name.
bool is_parameter(std::string_view name) noexcept;

/// The methods as a Markdown table, one line per method.
std::string methods_as_markdown();

} // namespace sluice::rpc
