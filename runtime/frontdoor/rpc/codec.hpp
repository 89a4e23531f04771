#pragma once

#include "messages/audit.hpp"
#include "messages/read.hpp"
#include "messages/write.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// How requests look as `params`, and how clients read results; runtime/json.hpp has the other half. Pure functions.
/// Those that read report `errc::invalid_request` and name the field: what is missing, of the wrong type, or unknown.
namespace sluice::rpc {

/// `params` of `write`. `peer` and `received` are not touched.
caf::expected<write_request> write_from_json(const nlohmann::json& params);
nlohmann::json params_of(const write_request& x);

/// `params` of `read`. `peer`, `cancel` and `received` are not touched.
caf::expected<read_request> read_from_json(const nlohmann::json& params);
nlohmann::json params_of(const read_request& x);

/// `params` of `audit.list`: {"agent", "db", "status", "since_us", "after_seq", "limit" (1 to 10,000), "newest"}, all
/// optional.
caf::expected<audit_query> audit_query_from_json(const nlohmann::json& params);
nlohmann::json params_of(const audit_query& x);

/// `params` of `cancel`: {"request_id"}.
caf::expected<std::string> cancel_from_json(const nlohmann::json& params);

/// `params` of `subscribe`: {"db", "tables":[...] (optional; none means all), "from_seq" (optional)}.
struct subscribe_request {
  std::string db;
  std::vector<std::string> tables;
  /// What happened after this commit is told first; nothing means from now on.
  std::optional<uint64_t> from_seq;
};
caf::expected<subscribe_request> subscribe_from_json(const nlohmann::json& params);

/// `params` of `hello`: {"protocol" (a whole number), "client" (optional, for the log)}.
struct hello_request {
  int protocol = 0;
  std::string client;
};
caf::expected<hello_request> hello_from_json(const nlohmann::json& params);

/// The inverse of `as_json` in runtime/json.hpp: exact for every value. An answer of another shape is
/// `errc::protocol_mismatch`, outcome `unknown`.
caf::expected<write_result> write_result_from_json(const nlohmann::json& result);
caf::expected<read_result> read_result_from_json(const nlohmann::json& result);
caf::expected<audit_page> audit_page_from_json(const nlohmann::json& result);
caf::expected<audit_verdict> audit_verdict_from_json(const nlohmann::json& result);

/// What a JSON-RPC error says of the request; its own codes become `invalid_request` or `internal`.
failure failure_from_json(const nlohmann::json& error);

} // namespace sluice::rpc
