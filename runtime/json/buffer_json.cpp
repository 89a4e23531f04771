#include "runtime/json/json.hpp"

#include <nlohmann/json.hpp>

namespace sluice {

using nlohmann::json;

json as_json(const std::vector<named_value>& columns, integer_form integers) {
  auto result = json::object();
  for (const auto& [name, content] : columns)
    result[name] = as_json(content, integers);
  return result;
}

json as_json(const buffer_receipt& x) { return {{"pending", x.pending}, {"journaled", x.journaled}}; }

json as_json(const buffered_row& x, integer_form integers) {
  json result{{"found", x.found}, {"pending", x.pending}};
  if (x.found)
    result["row"] = as_json(x.columns, integers);
  if (integers == integer_form::text)
    result["integer_text"] = true;
  return result;
}

json as_json(const flush_report& x) {
  json result{{"flushed", x.flushed}, {"set_aside", x.set_aside}, {"kept", x.kept}};
  if (!x.reason.empty())
    result["reason"] = x.reason;
  return result;
}

json as_json(const rejected_row& x, integer_form integers) {
  json result{
    {"id", x.id}, {"ts", iso_time(x.ts_us)}, {"ts_us", x.ts_us}, {"code", to_string(x.code)}, {"message", x.message}};
  const auto& operation = x.operation;
  if (operation.row.columns.empty())
    return result;
  result["db"] = operation.row.db;
  result["table"] = operation.row.table;
  result["operation"] = to_string(operation.operation);
  result["key"] = as_json(operation.row.columns, integers);
  result["values"] = as_json(operation.values, integers);
  result["agent"] = operation.agent;
  return result;
}

json as_json(const rejected_page& x, integer_form integers) {
  auto rows = json::array();
  for (const auto& row : x.rows)
    rows.push_back(as_json(row, integers));
  json result{{"rows", std::move(rows)}};
  if (integers == integer_form::text)
    result["integer_text"] = true;
  return result;
}

} // namespace sluice
