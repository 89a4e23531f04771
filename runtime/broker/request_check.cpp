#include "runtime/broker/request_check.hpp"

#include "actors/base/name_rules.hpp"
#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice {

namespace {

constexpr size_t max_statements = 10'000;
// SQLite's own bound.
constexpr size_t max_columns = 2'000;
constexpr size_t max_buffered_bytes = size_t{1} << 20;
constexpr std::chrono::hours max_deadline{24};

// Names appear in the audit and on terminals.
std::optional<failure> check_name(const char* field, const std::string& name) {
  if (auto error = name_error(name))
    return invalid_field(field, *error);
  return std::nullopt;
}

// Names that an application or a schema has chosen: more characters are allowed than in agent names.
std::optional<failure> check_text(const char* field, const std::string& name) {
  if (name.size() > max_name_bytes)
    return invalid_field(field, "has " + std::to_string(name.size()) + " bytes; at most 256 are allowed");
  auto is_c0_or_del = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), is_c0_or_del))
    return invalid_field(field, "holds a control character");
  if (!is_utf8(name))
    return invalid_field(field, "is not valid UTF-8");
  return std::nullopt;
}

std::optional<failure> check_agent(std::string& agent) {
  if (agent.empty())
    agent = "anonymous";
  if (auto error = agent_name_error(agent))
    return invalid_field("agent", *error);
  return std::nullopt;
}

template <class Request> std::optional<failure> check_names(Request& request) {
  if (auto error = check_agent(request.agent))
    return error;
  if (auto error = check_name("request_id", request.request_id))
    return error;
  return check_name("correlation_id", request.correlation_id);
}

// For names that are only compared with existing ones.
std::optional<failure> check_utf8(std::initializer_list<std::pair<const char*, std::string_view>> fields) {
  for (const auto& [field, text] : fields)
    if (!is_utf8(text))
      return invalid_field(field, "is not valid UTF-8");
  return std::nullopt;
}

std::optional<failure> check_duration(const char* field, std::chrono::milliseconds time) {
  if (time.count() < 0 || time > max_deadline)
    return invalid_field(field, "must be between 0 (the default) and 86400000 milliseconds");
  return std::nullopt;
}

// `names` has the columns that were named before.
std::optional<failure> check_columns(const char* field, const std::vector<named_value>& columns,
                                     std::set<std::string>& names) {
  for (const auto& [name, content] : columns) {
    if (name.empty())
      return invalid_field(field, "has a column without a name");
    if (auto error = check_text(field, name))
      return error;
    if (!names.insert(folded_name(name)).second)
      return invalid_field(field, "names the column " + name + " again");
  }
  if (names.size() > max_columns)
    return invalid_field(field, "has more columns than the 2000 that a table may have");
  return std::nullopt;
}

std::optional<failure> check_row(const row_key& row, std::set<std::string>& names) {
  if (row.table.empty())
    return invalid_field("table", "is empty");
  if (auto error = check_text("table", row.table))
    return error;
  if (row.columns.empty())
    return invalid_field("key", "is empty; name at least one key column");
  return check_columns("key", row.columns, names);
}

std::optional<failure> check_migration(const migration& step) {
  // SQLite's integers have a sign.
  if (step.number == 0 || step.number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return invalid_field("migration", "has the number " + std::to_string(step.number) + "; they begin with 1");
  if (step.name.empty() || step.hash.empty())
    return invalid_field("migration", "has no name or no hash; prepare_migration sets both");
  if (auto error = check_name("migration", step.name))
    return error;
  return check_name("migration", step.hash);
}

// @param place of the statement in its request
std::optional<failure> check_terms(const statement_terms& terms, size_t place) {
  for (const auto& each : terms.returned)
    if (each.statements_back == 0 || each.statements_back > place)
      return invalid_field("statements[" + std::to_string(place) + "].terms",
                           "take the parameter '" + escape_invalid_utf8(each.parameter)
                             + "' from a statement that does not come before it");
  return std::nullopt;
}

size_t operation_footprint(const buffer_put& operation) {
  return operation.row.table.size() + footprint(operation.row.columns) + footprint(operation.values);
}

} // namespace

std::optional<failure> check(write_request& request) {
  if (auto error = check_names(request))
    return error;
  if (auto error = check_text("idempotency_key", request.idempotency_key))
    return error;
  if (auto error = check_duration("deadline_ms", request.deadline))
    return error;
  if (request.statements.empty())
    return invalid_field("statements", "is empty; a write needs at least one");
  if (request.statements.size() > max_statements)
    return invalid_field("statements", "has more than 10000 entries");
  for (size_t i = 0; i < request.statements.size(); ++i)
    if (const auto& terms = request.statements[i].terms)
      if (auto error = check_terms(*terms, i))
        return error;
  if (request.grant && !request.grant->capsule.empty())
    return make_failure(errc::capsule_invalid, "capsule refused (form): capsules are checked by the methods of the "
                                               "protocol; send this write through a client");
  return request.migration ? check_migration(*request.migration) : std::nullopt;
}

std::optional<failure> check(read_request& request) {
  if (auto error = check_names(request))
    return error;
  if (request.freshness > freshness::fresh)
    return invalid_field("freshness", "must be \"cached\" or \"fresh\"");
  if (request.more.size() >= max_statements)
    return invalid_field("statements", "has more than " + std::to_string(max_statements) + " statements");
  auto expects = [](const statement& query) { return query.expected_changes.has_value(); };
  if (expects(request.query) || std::any_of(request.more.begin(), request.more.end(), expects))
    return invalid_field("expect", "belongs to a write; a read changes nothing");
  auto has_terms = [](const statement& query) { return query.terms != nullptr; };
  if (has_terms(request.query) || std::any_of(request.more.begin(), request.more.end(), has_terms))
    return invalid_field("terms", "belong to the statements of a write");
  return check_duration("timeout_ms", request.limits.timeout);
}

std::optional<failure> check(buffer_put& request) {
  if (auto error = check_agent(request.agent))
    return error;
  std::set<std::string> names;
  if (auto error = check_row(request.row, names))
    return error;
  if (auto error = check_columns("values", request.values, names))
    return error;
  if (request.operation > buffer_operation::erase)
    return invalid_field("operation", "must be \"upsert\", \"update\" or \"delete\"");
  if (request.operation == buffer_operation::erase && !request.values.empty())
    return invalid_field("values", "must be empty for a delete");
  if (request.operation == buffer_operation::update && request.values.empty())
    return invalid_field("values", "is empty; an update needs at least one");
  if (auto error = check_duration("wait_ms", request.wait))
    return error;
  if (operation_footprint(request) <= max_buffered_bytes)
    return std::nullopt;
  return make_failure(errc::too_large, "a buffered operation has 1 MiB at most; write this one through its database");
}

std::optional<failure> check(buffer_get& request) {
  if (auto error = check_agent(request.agent))
    return error;
  std::set<std::string> names;
  return check_row(request.row, names);
}

std::optional<failure> check(flush_request& request) {
  if (auto error = check_agent(request.agent))
    return error;
  return check_text("table", request.table);
}

std::optional<failure> check(rejected_decision& request) { return check_agent(request.agent); }

std::optional<failure> check(const audit_query& query) {
  return check_utf8({{"agent", query.agent}, {"db", query.db}, {"status", query.status}});
}

std::optional<failure> check(const log_query& query) {
  if (query.least > log_level::critical)
    return invalid_field("level", "must be one of trace, debug, info, warning, error and critical");
  return check_utf8({{"source", query.source}, {"agent", query.agent}, {"contains", query.contains}});
}

std::optional<failure> check_as_json(const parameters& params, const std::string& field) {
  if (params.named.empty())
    return std::nullopt;
  if (!params.positional.empty())
    return invalid_field(field, "holds values by position and by name; give them in one way");
  std::set<std::string_view> names;
  for (const auto& [name, content] : params.named)
    if (!names.insert(name).second)
      return invalid_field(field, "has the parameter '" + escape_invalid_utf8(name) + "' twice");
  return std::nullopt;
}

} // namespace sluice
