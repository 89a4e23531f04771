#include "runtime/server/rpc/codec.hpp"

#include "runtime/json/json.hpp"

#include <nlohmann/json.hpp>

namespace sluice::rpc {

namespace {

using nlohmann::json;

json as_params(const parameters& params) {
  if (params.named.empty()) {
    auto result = json::array();
    for (const auto& content : params.positional)
      result.push_back(as_json(content));
    return result;
  }
  auto result = json::object();
  for (const auto& [name, content] : params.named)
    result[name] = as_json(content);
  return result;
}

json as_statement(const statement& query) {
  json result{{"sql", query.sql.str()}};
  if (query.params != parameters{})
    result["params"] = as_params(query.params);
  if (query.expected_changes)
    result["expect"] = {{"changes", *query.expected_changes}};
  return result;
}

// A missing member means the default.
void say(json& to, const char* field, const std::string& text) {
  if (!text.empty())
    to[field] = text;
}

template <std::integral Int> void say(json& to, const char* field, Int number) {
  if (number != 0)
    to[field] = number;
}

} // namespace

json params_of(const write_request& request) {
  auto statements = json::array();
  for (const auto& stmt : request.statements)
    statements.push_back(as_statement(stmt));
  json result{{"db", request.db}, {"statements", std::move(statements)}};
  say(result, "agent", request.agent);
  say(result, "request_id", request.request_id);
  say(result, "idempotency_key", request.idempotency_key);
  say(result, "correlation_id", request.correlation_id);
  say(result, "deadline_ms", request.deadline.count());
  if (request.grant)
    say(result, "capsule", request.grant->capsule);
  if (!request.enforce_foreign_keys)
    result["foreign_keys"] = "off";
  return result;
}

json params_of(const read_request& request) {
  auto result = request.more.empty() ? as_statement(request.query) : json::object();
  if (!request.more.empty()) {
    auto& statements = result["statements"] = json::array({as_statement(request.query)});
    for (const auto& next : request.more)
      statements.push_back(as_statement(next));
  }
  result["db"] = request.db;
  say(result, "agent", request.agent);
  say(result, "request_id", request.request_id);
  say(result, "correlation_id", request.correlation_id);
  if (request.freshness == freshness::fresh)
    result["freshness"] = "fresh";
  say(result, "min_seq", request.min_seq);
  say(result, "max_rows", request.limits.max_rows);
  say(result, "max_bytes", request.limits.max_bytes);
  say(result, "timeout_ms", request.limits.timeout.count());
  return result;
}

json params_of_open_cursor(const read_request& request) {
  auto result = params_of(request);
  say(result, "idle_ms", request.limits.idle.count());
  return result;
}

json params_of(const audit_query& query) {
  json result{{"limit", query.limit}};
  say(result, "agent", query.agent);
  say(result, "db", query.db);
  say(result, "status", query.status);
  say(result, "since_us", query.since_us);
  say(result, "after_seq", query.after_seq);
  if (query.newest)
    result["newest"] = true;
  return result;
}

} // namespace sluice::rpc
