#include "runtime/server/rpc/codec.hpp"

#include "runtime/json/json.hpp"

#include <nlohmann/json.hpp>

namespace sluice::rpc {

namespace {

using nlohmann::json;

json as_params(const parameters& x) {
  if (x.named.empty()) {
    auto result = json::array();
    for (const auto& content : x.positional)
      result.push_back(as_json(content));
    return result;
  }
  auto result = json::object();
  for (const auto& [name, content] : x.named)
    result[name] = as_json(content);
  return result;
}

json as_statement(const statement& x) {
  json result{{"sql", x.sql.str()}};
  if (x.params != parameters{})
    result["params"] = as_params(x.params);
  return result;
}

// A member that is left out means the default.
void say(json& to, const char* field, const std::string& text) {
  if (!text.empty())
    to[field] = text;
}

template <std::integral Int> void say(json& to, const char* field, Int number) {
  if (number != 0)
    to[field] = number;
}

} // namespace

json params_of(const write_request& x) {
  auto statements = json::array();
  for (const auto& stmt : x.statements)
    statements.push_back(as_statement(stmt));
  json result{{"db", x.db}, {"statements", std::move(statements)}};
  say(result, "agent", x.agent);
  say(result, "request_id", x.request_id);
  say(result, "idempotency_key", x.idempotency_key);
  say(result, "correlation_id", x.correlation_id);
  say(result, "deadline_ms", x.deadline.count());
  if (!x.enforce_foreign_keys)
    result["foreign_keys"] = "off";
  return result;
}

json params_of(const read_request& x) {
  auto result = as_statement(x.query);
  result["db"] = x.db;
  say(result, "agent", x.agent);
  say(result, "request_id", x.request_id);
  say(result, "correlation_id", x.correlation_id);
  if (x.freshness == freshness::fresh)
    result["freshness"] = "fresh";
  say(result, "min_seq", x.min_seq);
  say(result, "max_rows", x.limits.max_rows);
  say(result, "max_bytes", x.limits.max_bytes);
  say(result, "timeout_ms", x.limits.timeout.count());
  return result;
}

json params_of_open_cursor(const read_request& x) {
  auto result = params_of(x);
  say(result, "idle_ms", x.limits.idle.count());
  return result;
}

json params_of(const audit_query& x) {
  json result{{"limit", x.limit}};
  say(result, "agent", x.agent);
  say(result, "db", x.db);
  say(result, "status", x.status);
  say(result, "since_us", x.since_us);
  say(result, "after_seq", x.after_seq);
  if (x.newest)
    result["newest"] = true;
  return result;
}

} // namespace sluice::rpc
