#include "runtime/client/remote_operation.hpp"

#include "runtime/json/json_values.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice {

namespace {

using nlohmann::json;

template <size_t Count> size_t place_of(const std::array<std::string_view, Count>& names, const json& name) {
  auto found = std::find(names.begin(), names.end(), name.get<std::string_view>());
  return static_cast<size_t>(found - names.begin()) % Count;
}

parameter_type type_of(const json& declared) {
  return static_cast<parameter_type>(place_of(parameter_type_names, declared.at("type")));
}

operation_signature signature_of(const json& listed) {
  operation_signature result;
  result.name = listed.at("name").get<std::string>();
  result.kind = static_cast<operation_kind>(place_of(operation_kind_names, listed.at("kind")));
  result.writes = !listed.at("annotations").at("readOnlyHint").get<bool>();
  for (const auto& each : listed.at("parameters"))
    result.parameters.push_back(
      {each.at("name").get<std::string>(), type_of(each), each.at("nullable").get<bool>(), {}, {}});
  for (const auto& each : listed.at("columns"))
    result.columns.push_back({each.at("name").get<std::string>(), type_of(each), each.at("nullable").get<bool>()});
  return result;
}

json object_of(const std::vector<named_value>& set) {
  auto result = json::object();
  for (const auto& [name, content] : set)
    result[name] = as_json(content);
  return result;
}

caf::expected<operation_outcome> outcome_from_json(const json& answer) {
  operation_outcome result;
  result.changes = answer.value("changes", int64_t{0});
  result.rows = rowset{std::make_shared<const rowset::column_names>(answer.at("columns").get<rowset::column_names>())};
  for (const auto& row : answer.at("rows"))
    for (const auto& column : result.rows.columns()) {
      auto content = value_from_json(row.at(column), column);
      if (!content)
        return std::move(content.error());
      result.rows.append(std::move(*content));
    }
  return result;
}

class remote_caller final : public operation_caller {
public:
  remote_caller(client& store, const operation_signature& of)
    : store_(store), name_(of.name), is_batch_(of.kind == operation_kind::batch) {}

  caf::expected<operation_outcome> call(const std::vector<std::vector<named_value>>& sets,
                                        const operation_call_options& options) const override {
    json params{{"operation", name_}};
    if (is_batch_) {
      params["params"] = json::array();
      for (const auto& each : sets)
        params["params"].push_back(object_of(each));
    } else {
      params["params"] = object_of(sets.front());
    }
    if (!options.agent.empty())
      params["agent"] = options.agent;
    if (!options.idempotency_key.empty())
      params["idempotency_key"] = options.idempotency_key;
    if (options.time.count() > 0)
      params["deadline_ms"] = options.time.count();
    auto answer = store_.call("call", std::move(params));
    if (!answer)
      return std::move(answer.error());
    if (answer->value("truncated", false))
      return make_error(errc::too_large,
                        fmt::format("the answer of operation {} has more rows or bytes than a read may "
                                    "have; ask for a part of it",
                                    name_));
    return outcome_from_json(*answer);
  }

private:
  client& store_;
  const std::string name_;
  const bool is_batch_;
};

} // namespace

caf::expected<found_operation> find_operation(client& store, const std::string& name) {
  auto listed = store.call("operations", json::object());
  if (!listed)
    return std::move(listed.error());
  for (const auto& each : listed->at("operations"))
    if (each.at("name") == name) {
      auto signature = signature_of(each);
      auto caller = std::make_shared<remote_caller>(store, signature);
      return found_operation{std::move(signature), std::move(caller)};
    }
  auto message = fmt::format("there is no operation '{}'", name);
  if (auto mistake = listed->find("mistake"); mistake != listed->end())
    message += "; the files of operations have changed and are not in force: " + mistake->get<std::string>();
  return make_error(errc::unknown_operation, std::move(message));
}

} // namespace sluice
