#include "runtime/catalogue/operation_request.hpp"

#include "runtime/catalogue/operation_arguments.hpp"

#include <fmt/format.h>

#include <utility>

namespace sluice {

namespace {

template <class Request> Request request_for(const operation& of, operation_call& call) {
  Request result;
  result.db = of.database;
  result.agent = std::move(call.agent);
  result.request_id = std::move(call.request_id);
  result.correlation_id = std::move(call.correlation_id);
  result.integers = call.integers;
  return result;
}

void append_statements(std::vector<statement>& to, const operation& of, const parameters& arguments) {
  auto bound = bound_statements(of, arguments);
  for (size_t i = 0; i < bound.size(); ++i) {
    if (of.expected_changes && of.statements[i].changes_rows)
      bound[i].expected_changes = static_cast<uint64_t>(*of.expected_changes);
    to.push_back(std::move(bound[i]));
  }
}

caf::expected<std::vector<statement>> statements_of(const operation& of, const nlohmann::json& arguments) {
  std::vector<statement> result;
  if (of.kind != operation_kind::batch) {
    auto checked = arguments_from_json(of, arguments);
    if (!checked)
      return std::move(checked.error());
    append_statements(result, of, *checked);
    return result;
  }
  auto sets = batch_arguments_from_json(of, arguments);
  if (!sets)
    return std::move(sets.error());
  if (sets->empty())
    return make_error(invalid_field("params", "has no set of arguments; give at least one"));
  for (const auto& set : *sets)
    append_statements(result, of, set);
  return result;
}

operation_request request_with(const operation& of, operation_call& call, std::vector<statement> statements) {
  if (of.writes()) {
    auto result = request_for<write_request>(of, call);
    result.statements = std::move(statements);
    result.idempotency_key = std::move(call.idempotency_key);
    result.deadline = call.time;
    result.enforce_foreign_keys = of.foreign_keys;
    result.grant = std::move(call.grant);
    return result;
  }
  auto result = request_for<read_request>(of, call);
  result.query = std::move(statements.front());
  result.limits.timeout = call.time;
  result.freshness = of.cache ? freshness::cached : freshness::fresh;
  result.max_age = of.cache.value_or(std::chrono::milliseconds{0});
  return result;
}

} // namespace

caf::expected<operation_request> request_of(const operation& of, operation_call call) {
  auto statements = statements_of(of, call.arguments);
  if (!statements)
    return std::move(statements.error());
  return request_with(of, call, std::move(*statements));
}

caf::expected<operation_request> request_of(const operation& of, operation_call call,
                                            const std::vector<std::vector<named_value>>& sets) {
  auto is_batch = of.kind == operation_kind::batch;
  if (sets.empty() || (sets.size() > 1 && !is_batch))
    return make_error(invalid_field("params", is_batch ? "has no set of arguments; give at least one"
                                                       : "must be one set of arguments"));
  std::vector<statement> statements;
  for (size_t i = 0; i < sets.size(); ++i) {
    auto checked = check_arguments(of, sets[i], is_batch ? fmt::format("params[{}]", i) : "params");
    if (!checked)
      return std::move(checked.error());
    append_statements(statements, of, *checked);
  }
  return request_with(of, call, std::move(statements));
}

} // namespace sluice
