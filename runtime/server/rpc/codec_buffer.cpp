#include "runtime/server/rpc/codec.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/json_fields.hpp"

#include <fmt/format.h>

namespace sluice::rpc {

namespace {

using nlohmann::json;

caf::error take_operation(const json& content, std::string_view field, buffer_operation& to) {
  for (auto operation : {buffer_operation::upsert, buffer_operation::update, buffer_operation::erase})
    if (content == to_string(operation)) {
      to = operation;
      return caf::none;
    }
  return invalid(field, "must be \"upsert\", \"update\" or \"delete\"");
}

caf::error take_columns(const json& source, std::string_view field, std::vector<named_value>& to) {
  if (!source.is_object())
    return invalid(field, "must be an object: {column: value}");
  for (const auto& [name, cell] : source.get_ref<const json::object_t&>()) {
    auto content = value_from_json(cell, fmt::format("{}.{}", field, name));
    if (!content)
      return std::move(content.error());
    to.push_back({name, std::move(*content)});
  }
  return caf::none;
}

// Reads a member that names a row; false if `name` is not such a member.
bool take_row(const std::string& name, const json& content, row_key& to, caf::error& error) {
  if (name == "db")
    error = take(content, name, to.db);
  else if (name == "table")
    error = take(content, name, to.table);
  else if (name == "key")
    error = take_columns(content, name, to.columns);
  else
    return false;
  return true;
}

json params_of_row(const row_key& row, const std::string& agent) {
  json result{{"db", row.db}, {"table", row.table}, {"key", as_json(row.columns)}};
  if (!agent.empty())
    result["agent"] = agent;
  return result;
}

} // namespace

caf::expected<buffer_put> buffer_put_from_json(const json& params) {
  buffer_put result;
  int64_t wait_ms = 0;
  auto error = read_object(params, "params", {"db", "table", "operation", "key"},
                           [&](const std::string& name, const json& content) {
                             if (caf::error row; take_row(name, content, result.row, row))
                               return row;
                             if (name == "operation")
                               return take_operation(content, name, result.operation);
                             if (name == "values")
                               return take_columns(content, name, result.values);
                             if (name == "agent")
                               return take(content, name, result.agent);
                             if (name == "wait_ms")
                               return take(content, name, wait_ms, int64_t{0}, day_ms);
                             return unknown_member(name);
                           });
  result.wait = std::chrono::milliseconds{wait_ms};
  return result_or(std::move(error), result);
}

json params_of(const buffer_put& operation) {
  auto result = params_of_row(operation.row, operation.agent);
  result["operation"] = to_string(operation.operation);
  if (!operation.values.empty())
    result["values"] = as_json(operation.values);
  if (operation.wait.count() > 0)
    result["wait_ms"] = operation.wait.count();
  return result;
}

caf::expected<buffer_get> buffer_get_from_json(const json& params) {
  buffer_get result;
  auto error = read_object(params, "params", {"db", "table", "key"}, [&](const std::string& name, const json& content) {
    if (caf::error row; take_row(name, content, result.row, row))
      return row;
    if (name == "integers")
      return take(content, name, result.integers);
    return name == "agent" ? take(content, name, result.agent) : unknown_member(name);
  });
  return result_or(std::move(error), result);
}

json params_of(const buffer_get& request) { return params_of_row(request.row, request.agent); }

caf::expected<flush_request> flush_from_json(const json& params) {
  flush_request result;
  auto error = read_object(params, "params", {}, [&](const std::string& name, const json& content) {
    if (name == "db")
      return take(content, name, result.db);
    if (name == "table")
      return take(content, name, result.table);
    return name == "agent" ? take(content, name, result.agent) : unknown_member(name);
  });
  return result_or(std::move(error), result);
}

caf::expected<rejected_query> rejected_query_from_json(const json& params) {
  rejected_query result;
  auto error = read_object(params, "params", {}, [&](const std::string& name, const json& content) {
    if (name == "after_id")
      return take(content, name, result.after_id);
    if (name == "integers")
      return take(content, name, result.integers);
    std::string agent;
    if (name == "agent")
      return take(content, name, agent);
    return name == "limit" ? take(content, name, result.limit, uint64_t{1}, uint64_t{10'000}) : unknown_member(name);
  });
  return result_or(std::move(error), result);
}

caf::expected<std::vector<uint64_t>> rejected_ids_from_json(const json& params) {
  std::vector<uint64_t> result;
  auto error = read_object(params, "params", {}, [&](const std::string& name, const json& content) {
    std::string agent;
    if (name == "agent")
      return take(content, name, agent);
    if (name != "ids")
      return unknown_member(name);
    // To the buffer an empty list would mean all rows, but its sender meant none.
    if (!content.is_array() || content.empty())
      return invalid(name, "must be an array of at least one id; left out, it means all");
    for (size_t i = 0; i < content.size(); ++i)
      if (auto wrong = take(content[i], fmt::format("{}[{}]", name, i), result.emplace_back(), uint64_t{1}))
        return wrong;
    return caf::error{};
  });
  return result_or(std::move(error), result);
}

} // namespace sluice::rpc
