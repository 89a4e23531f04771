#include "runtime/server/rpc/codec.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/catalogue/operation_request.hpp"
#include "runtime/json/json.hpp"
#include "runtime/server/rpc/capsule_params.hpp"
#include "runtime/server/rpc/json_fields.hpp"
#include "runtime/server/rpc/methods.hpp"

#include <fmt/format.h>

namespace sluice::rpc {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// The name of the object with a request's fields, in errors.
constexpr std::string_view whole_request = "params";

// Integers beyond are not the same number in every language.
constexpr uint64_t max_expected_changes = uint64_t{1} << 53;

caf::error read_part(const json& content, std::string_view field, milliseconds& to) {
  int64_t ms = 0;
  if (auto error = rpc::take(content, field, ms, int64_t{1}, day_ms))
    return error;
  to = milliseconds{ms};
  return caf::none;
}

caf::error read_part(const json& content, std::string_view field, freshness& to) {
  if (content == "cached")
    to = freshness::cached;
  else if (content == "fresh")
    to = freshness::fresh;
  else
    return invalid(field, "must be \"cached\" or \"fresh\"");
  return caf::none;
}

caf::error take_switch(const json& content, std::string_view field, bool& to) {
  if (content != "on" && content != "off")
    return invalid(field, "must be \"on\" or \"off\"");
  to = content == "on";
  return caf::none;
}

caf::error read_part(const json& content, std::string_view field, parameters& to) {
  auto params = parameters_from_json(content, field);
  if (!params)
    return std::move(params.error());
  to = std::move(*params);
  return caf::none;
}

caf::error take_sql(const json& content, std::string_view field, sql_text& to) {
  std::string text;
  if (auto error = rpc::take(content, field, text))
    return error;
  to = sql_text{std::move(text)};
  return caf::none;
}

caf::error take_expectation(const json& content, const std::string& field, std::optional<uint64_t>& to) {
  if (!content.is_object() || !content.contains("changes"))
    return invalid(field, R"(must be an object: {"changes": N})");
  return read_object(content, field, {"changes"}, [&](const std::string& name, const json& number) {
    if (name != "changes")
      return unknown_member(fmt::format("{}.{}", field, name));
    return rpc::take(number, field + ".changes", to.emplace(), uint64_t{0}, max_expected_changes);
  });
}

caf::error read_part(const json& source, const std::string& field, statement& to) {
  if (!source.is_object())
    return invalid(field, R"(must be an object: {"sql":"...", "params":...})");
  if (!source.contains("sql"))
    return invalid(field + ".sql", "is missing");
  return read_object(source, field, {}, [&](const std::string& name, const json& content) {
    if (name == "sql")
      return take_sql(content, field + ".sql", to.sql);
    if (name == "params")
      return read_part(content, field + ".params", to.params);
    if (name == "expect")
      return take_expectation(content, field + ".expect", to.expected_changes);
    return unknown_member(fmt::format("{}.{}", field, name));
  });
}

caf::error read_part(const json& content, std::string_view field, std::vector<statement>& to) {
  if (!content.is_array() || content.empty())
    return invalid(field, R"(must be an array of at least one {"sql":"...", "params":...})");
  to.resize(content.size());
  for (size_t i = 0; i < to.size(); ++i)
    if (auto error = read_part(content[i], fmt::format("{}[{}]", field, i), to[i]))
      return error;
  return caf::none;
}

// Reads a field that writes and reads have in common; false if `name` is not such a field.
template <class Request>
bool take_common(const std::string& name, const json& content, Request& to, caf::error& error) {
  auto* text = name == "db"               ? &to.db
               : name == "agent"          ? &to.agent
               : name == "request_id"     ? &to.request_id
               : name == "correlation_id" ? &to.correlation_id
                                          : nullptr;
  if (text)
    error = rpc::take(content, name, *text);
  return text != nullptr;
}

caf::error take_of_read(const std::string& name, const json& content, read_request& to) {
  if (caf::error common; take_common(name, content, to, common))
    return common;
  if (name == "sql")
    return take_sql(content, name, to.query.sql);
  if (name == "params")
    return read_part(content, name, to.query.params);
  if (name == "freshness")
    return read_part(content, name, to.freshness);
  if (name == "min_seq")
    return rpc::take(content, name, to.min_seq);
  if (name == "max_rows")
    return rpc::take(content, name, to.limits.max_rows, uint64_t{1}, uint64_t{100'000'000});
  if (name == "max_bytes")
    return rpc::take(content, name, to.limits.max_bytes, uint64_t{1} << 10, uint64_t{2} << 30);
  if (name == "timeout_ms")
    return read_part(content, name, to.limits.timeout);
  if (name == "integers")
    return rpc::take(content, name, to.integers);
  return unknown_member(name);
}

// An empty key is an error: a client that sets it from an unset variable would silently lose the protection.
caf::error take_key(const json& content, std::string_view name, std::string& to) {
  if (auto error = rpc::take(content, name, to))
    return error;
  return to.empty() ? invalid(name, "is empty; an idempotency key must not be empty; leave it out") : caf::error{};
}

// A write or a read has a list of statements, or one statement beside `db`.
caf::error check_form(const json& params) {
  auto has = [&](const char* name) { return params.contains(name); };
  if (has("statements")) {
    if (has("sql"))
      return invalid("sql", "cannot stand beside statements; put it into the list");
    if (has("params"))
      return invalid("params", "cannot stand beside statements; each statement has its own");
    if (has("expect"))
      return invalid("expect", "cannot stand beside statements; each statement has its own");
    return caf::none;
  }
  return has("sql") ? caf::error{} : invalid("statements", "is missing; for a single statement, sql is enough");
}

caf::error take_statements(const json& content, const std::string& name, read_request& to) {
  std::vector<statement> statements;
  if (auto error = read_part(content, name, statements))
    return error;
  for (size_t i = 0; i < statements.size(); ++i)
    if (statements[i].expected_changes)
      return invalid(fmt::format("{}[{}].expect", name, i), "belongs to a write; a read changes nothing");
  to.query = std::move(statements.front());
  to.more.assign(std::make_move_iterator(statements.begin() + 1), std::make_move_iterator(statements.end()));
  return caf::none;
}

} // namespace

caf::expected<write_request> write_from_json(const json& params) {
  write_request result;
  if (auto error = check_object(params, whole_request, {"db"}))
    return error;
  if (auto error = check_form(params))
    return error;
  if (params.contains("sql"))
    result.statements.emplace_back();
  auto error = read_object(params, whole_request, {}, [&](const std::string& name, const json& content) {
    if (caf::error common; take_common(name, content, result, common))
      return common;
    if (name == "statements")
      return read_part(content, name, result.statements);
    if (name == "sql")
      return take_sql(content, name, result.statements.front().sql);
    if (name == "params")
      return read_part(content, name, result.statements.front().params);
    if (name == "expect")
      return take_expectation(content, name, result.statements.front().expected_changes);
    if (name == "idempotency_key")
      return take_key(content, name, result.idempotency_key);
    if (name == "deadline_ms")
      return read_part(content, name, result.deadline);
    if (name == "integers")
      return rpc::take(content, name, result.integers);
    if (name == "foreign_keys")
      return take_switch(content, name, result.enforce_foreign_keys);
    if (name == "capsule")
      return take_capsule(content, name, result.grant);
    return unknown_member(name);
  });
  return result_or(std::move(error), result);
}

caf::expected<read_request> read_from_json(const json& params) {
  if (auto error = check_object(params, whole_request, {"db"}))
    return error;
  if (!params.contains("sql") && !params.contains("statements"))
    return invalid("sql", "is missing; for several statements on one snapshot, give statements");
  if (auto error = check_form(params))
    return error;
  read_request result;
  auto error = read_object(params, whole_request, {}, [&](const std::string& name, const json& content) {
    return name == "statements" ? take_statements(content, name, result) : take_of_read(name, content, result);
  });
  return result_or(std::move(error), result);
}

caf::expected<operation_call> operation_call_from_json(const json& params) {
  operation_call result;
  auto error =
    read_object(params, whole_request, {"operation"}, [&](const std::string& name, const json& content) -> caf::error {
      if (name == "operation")
        return rpc::take(content, name, result.operation);
      // Checked when the operation is known.
      if (name == "params") {
        result.arguments = content;
        return caf::none;
      }
      if (name == "agent")
        return rpc::take(content, name, result.agent);
      if (name == "request_id")
        return rpc::take(content, name, result.request_id);
      if (name == "correlation_id")
        return rpc::take(content, name, result.correlation_id);
      if (name == "idempotency_key")
        return take_key(content, name, result.idempotency_key);
      if (name == "deadline_ms")
        return read_part(content, name, result.time);
      if (name == "integers")
        return rpc::take(content, name, result.integers);
      if (name == "read_only")
        return rpc::take(content, name, result.read_only);
      return name == "capsule" ? take_capsule(content, name, result.grant) : unknown_member(name);
    });
  return result_or(std::move(error), result);
}

caf::expected<migrate_params> migrate_params_from_json(const json& params) {
  migrate_params result;
  auto error =
    read_object(params, whole_request, {"db", "name", "sql"}, [&](const std::string& name, const json& content) {
      if (caf::error common; take_common(name, content, result.request, common))
        return common;
      if (name == "name")
        return rpc::take(content, name, result.name);
      if (name == "sql")
        return rpc::take(content, name, result.sql);
      if (name == "deadline_ms")
        return read_part(content, name, result.request.deadline);
      return unknown_member(name);
    });
  return result_or(std::move(error), result);
}

caf::expected<schema_request> schema_request_from_json(const json& params) {
  schema_request result;
  auto error = read_object(params, whole_request, {}, [&](const std::string& name, const json& content) -> caf::error {
    if (name == "db")
      return rpc::take(content, name, result.db);
    if (name == "agent")
      return rpc::take(content, name, result.agent);
    return unknown_member(name);
  });
  return result_or(std::move(error), result);
}

caf::expected<read_request> open_cursor_from_json(const json& params) {
  read_request result;
  auto error = read_object(params, whole_request, {"db", "sql"}, [&](const std::string& name, const json& content) {
    return name == "idle_ms" ? read_part(content, name, result.limits.idle) : take_of_read(name, content, result);
  });
  return result_or(std::move(error), result);
}

caf::expected<audit_query> audit_query_from_json(const json& params) {
  audit_query result;
  auto error = read_object(params, whole_request, {}, [&](const std::string& name, const json& content) {
    if (name == "agent")
      return rpc::take(content, name, result.agent);
    if (name == "db")
      return rpc::take(content, name, result.db);
    if (name == "status")
      return rpc::take(content, name, result.status);
    if (name == "since_us")
      return rpc::take(content, name, result.since_us);
    if (name == "after_seq")
      return rpc::take(content, name, result.after_seq);
    if (name == "limit")
      return rpc::take(content, name, result.limit, uint64_t{1}, uint64_t{10'000});
    if (name == "newest")
      return rpc::take(content, name, result.newest);
    std::string caller;
    return name == "caller" ? rpc::take(content, name, caller) : unknown_member(name);
  });
  return result_or(std::move(error), result);
}

caf::expected<audit_prune> audit_prune_from_json(const json& params) {
  audit_prune result;
  auto error = read_object(params, whole_request, {"before_us"}, [&](const std::string& name, const json& content) {
    std::string agent;
    if (name == "agent")
      return rpc::take(content, name, agent);
    return name == "before_us" ? rpc::take(content, name, result.before_us) : unknown_member(name);
  });
  return result_or(std::move(error), result);
}

caf::expected<uint64_t> cursor_from_json(const json& params) {
  uint64_t result = 0;
  auto error = read_object(params, whole_request, {"cursor"}, [&](const std::string& name, const json& content) {
    std::string agent;
    if (name == "agent")
      return rpc::take(content, name, agent);
    return name == "cursor" ? rpc::take(content, name, result) : unknown_member(name);
  });
  return result_or(std::move(error), result);
}

caf::expected<cancel_request> cancel_from_json(const json& params) {
  cancel_request result;
  auto error = read_object(params, whole_request, {"request_id"}, [&](const std::string& name, const json& content) {
    std::string agent;
    if (name == "agent")
      return rpc::take(content, name, agent);
    if (name == "as_operator")
      return rpc::take(content, name, result.as_operator);
    return name == "request_id" ? rpc::take(content, name, result.request_id) : unknown_member(name);
  });
  if (!error && result.request_id.empty())
    error = invalid("request_id", "is empty");
  return result_or(std::move(error), result);
}

caf::expected<std::pair<unrecorded_request, std::string>> refused_from_json(const json& params) {
  std::pair<unrecorded_request, std::string> result;
  // Not a structured binding, which a lambda may not capture.
  auto& request = result.first;
  auto& status = result.second;
  auto error = read_object(params, whole_request, {"status"}, [&](const std::string& name, const json& content) {
    if (caf::error common; take_common(name, content, request, common))
      return common;
    if (name == "count")
      return rpc::take(content, name, request.count, uint32_t{1}, most_reported_refusals);
    if (name == "reason")
      return rpc::take(content, name, request.reason);
    if (name == "status")
      return rpc::take(content, name, status);
    if (name != "method")
      return unknown_member(name);
    std::string method;
    if (auto wrong = rpc::take(content, name, method))
      return wrong;
    const auto* known = find_method(method);
    if (!known)
      return invalid("method", "must be a method of the protocol");
    request.type = known->type;
    return caf::error{};
  });
  request.reason.resize(utf8_prefix(request.reason, most_reason_bytes).size());
  if (!error && !errc_of(status))
    error = invalid("status", "must be an error code");
  return result_or(std::move(error), result);
}

} // namespace sluice::rpc
