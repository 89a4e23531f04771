#pragma once

#include "messages/audit.hpp"
#include "messages/buffer.hpp"
#include "messages/cursor.hpp"
#include "messages/log.hpp"
#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/os/file_identity.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Converts requests to `params`, and the results as clients read them; runtime/json/json.hpp has the other half. Pure
/// functions. Readers fail with `errc::invalid_request` and name the field that is missing, of the wrong type, or
/// unknown. `params_of` leaves `integers` out, because these functions decode answers to values, which are exact.
namespace sluice {

struct operation_call;

} // namespace sluice

namespace sluice::rpc {

/// Reads the `params` of `write`. Leaves `peer` and `received` unchanged.
caf::expected<write_request> write_from_json(const nlohmann::json& params);
nlohmann::json params_of(const write_request& request);

/// Reads the `params` of `read`. Leaves `peer`, `cancel` and `received` unchanged.
caf::expected<read_request> read_from_json(const nlohmann::json& params);

/// Reads the `params` of `cursor.open`: those of `read`, and `idle_ms`.
caf::expected<read_request> open_cursor_from_json(const nlohmann::json& params);
nlohmann::json params_of_open_cursor(const read_request& request);

/// `params` of `read`.
nlohmann::json params_of(const read_request& request);

/// `params` of `call`. Its arguments are checked when the operation is known.
caf::expected<operation_call> operation_call_from_json(const nlohmann::json& params);

/// `params` of `migrate`: {"db", "name", "sql"} and those that it has in common with `write`. `request` has no
/// statements yet: `prepare_migration` reads the text.
struct migrate_params {
  write_request request;
  std::string name;
  std::string sql;
};
caf::expected<migrate_params> migrate_params_from_json(const nlohmann::json& params);

/// `params` of `audit.prune`.
caf::expected<audit_prune> audit_prune_from_json(const nlohmann::json& params);

/// `params` of `audit.list`: {"agent", "db", "status", "since_us", "after_seq", "limit" (1 to 10,000), "newest",
/// "caller"}, all optional. The caller is not returned.
caf::expected<audit_query> audit_query_from_json(const nlohmann::json& params);
nlohmann::json params_of(const audit_query& query);

/// Reads the `params` of `cursor.next` and `cursor.close`: {"cursor", "agent" (optional)}; returns the number, not the
/// agent. Those of `cursor.open` are those of `read`.
caf::expected<uint64_t> cursor_from_json(const nlohmann::json& params);

/// `params` of `schema`: {"db" (optional; without it, all databases of the store), "agent" (optional)}.
struct schema_request {
  std::string db;
  std::string agent;
};
caf::expected<schema_request> schema_request_from_json(const nlohmann::json& params);

/// `params` of `cancel`: {"request_id", "agent" (optional), "as_operator" (optional)}.
struct cancel_request {
  std::string request_id;
  /// Whether requests of every agent may be cancelled.
  bool as_operator = false;
};
caf::expected<cancel_request> cancel_from_json(const nlohmann::json& params);

/// `params` of `audit.refused`, with which a bridge reports a request that it refused itself: {"status" (an error
/// code), "method" (one of the protocol), "agent", "db", "request_id", "correlation_id", "reason" (cut at
/// `most_reason_bytes`), "count" (1 to `most_reported_refusals`)}, all but the first optional. The request, and the
/// status.
inline constexpr uint32_t most_reported_refusals = 1'000'000;
inline constexpr size_t most_reason_bytes = 1'024;
caf::expected<std::pair<unrecorded_request, std::string>> refused_from_json(const nlohmann::json& params);

/// `params` of `subscribe`: {"db", "tables":[...] (optional; none means all), "from_seq" (optional),
/// "agent" (optional)}.
struct subscribe_request {
  std::string db;
  std::vector<std::string> tables;
  /// The commits after this one are sent first; without it, only new ones.
  std::optional<uint64_t> from_seq;
  std::string agent;
};
caf::expected<subscribe_request> subscribe_from_json(const nlohmann::json& params);

/// `params` of `hello`: {"protocol" (a whole number), "client" (optional, for the log), "root" (optional, the identity
/// of the store that is meant)}.
struct hello_request {
  int protocol = 0;
  std::string client;
  std::optional<file_identity> root;
};
caf::expected<hello_request> hello_from_json(const nlohmann::json& params);

/// Reads the `params` of `log`: {"level", "message", "source", "agent"}, the last two optional. Leaves time and id
/// unchanged.
caf::expected<log_entry> log_entry_from_json(const nlohmann::json& params);

/// `params` of `logs.recent`: {"level" (this one and more severe ones), "source", "agent", "contains", "since"
/// (microseconds since the Unix epoch, or a text as `parse_since` takes it), "after_id", "limit" (1 to 10,000),
/// "newest", "caller"}, all optional. The caller is not returned. Without `newest` the last ones are meant, but with an
/// `after_id` those that follow it.
caf::expected<log_query> log_query_from_json(const nlohmann::json& params);
nlohmann::json params_of(const log_query& query);

/// Reads the `params` of `buffer.put`: {"db", "table", "operation" ("upsert", "update" or "delete"), "key":{column:
/// value}}, and optional "values":{column: value}, "agent" and "wait_ms" (to 86,400,000). Leaves `peer` unchanged.
caf::expected<buffer_put> buffer_put_from_json(const nlohmann::json& params);
nlohmann::json params_of(const buffer_put& operation);

/// Reads the `params` of `buffer.get`: {"db", "table", "key":{column: value}}, and optional "agent" and "integers".
/// Leaves `peer` unchanged.
caf::expected<buffer_get> buffer_get_from_json(const nlohmann::json& params);
nlohmann::json params_of(const buffer_get& request);

/// `params` of `flush`: {"db", "table", "agent"}, all optional.
caf::expected<flush_request> flush_from_json(const nlohmann::json& params);

/// `params` of `buffer.rejected`: {"after_id", "limit" (1 to 10,000), "integers", "agent"}, all optional. The agent
/// is not returned.
caf::expected<rejected_query> rejected_query_from_json(const nlohmann::json& params);

/// `params` of `buffer.requeue` and `buffer.discard`: {"ids":[...], "agent"}, both optional; no ids are all of them.
/// The agent is not returned.
caf::expected<std::vector<uint64_t>> rejected_ids_from_json(const nlohmann::json& params);

/// The reverse of `as_json` in runtime/json/json.hpp: exact for every value. An answer of another form is
/// `errc::protocol_mismatch`, outcome `unknown`.
caf::expected<write_result> write_result_from_json(const nlohmann::json& result);
caf::expected<read_result> read_result_from_json(const nlohmann::json& result);
caf::expected<cursor_page> cursor_page_from_json(const nlohmann::json& result);
caf::expected<audit_page> audit_page_from_json(const nlohmann::json& result);
caf::expected<audit_verdict> audit_verdict_from_json(const nlohmann::json& result);
caf::expected<log_page> log_page_from_json(const nlohmann::json& result);

/// The failure that a JSON-RPC error describes; JSON-RPC's own codes become `invalid_request` or `internal`.
failure failure_from_json(const nlohmann::json& error);

} // namespace sluice::rpc
