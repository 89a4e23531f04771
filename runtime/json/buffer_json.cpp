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

json as_json(const buffer_receipt& receipt) { return {{"pending", receipt.pending}, {"journaled", receipt.journaled}}; }

json as_json(const buffered_row& row, integer_form integers) {
  json result{{"found", row.found}, {"pending", row.pending}};
  if (row.found)
    result["row"] = as_json(row.columns, integers);
  if (integers == integer_form::text)
    result["integer_text"] = true;
  return result;
}

json as_json(const flush_report& report) {
  json result{{"flushed", report.flushed}, {"set_aside", report.set_aside}, {"kept", report.kept}};
  if (!report.reason.empty())
    result["reason"] = report.reason;
  return result;
}

json as_json(const rejected_row& row, integer_form integers) {
  json result{{"id", row.id},
              {"ts", iso_time(row.ts_us)},
              {"ts_us", row.ts_us},
              {"code", to_string(row.code)},
              {"message", row.message}};
  const auto& operation = row.operation;
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

json as_json(const rejected_page& page, integer_form integers) {
  auto rows = json::array();
  for (const auto& row : page.rows)
    rows.push_back(as_json(row, integers));
  json result{{"rows", std::move(rows)}};
  if (integers == integer_form::text)
    result["integer_text"] = true;
  return result;
}

} // namespace sluice
