#include "runtime/catalogue/operation_answer.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/json/json_writer.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace sluice {

namespace {

std::vector<std::string> member_names(const rowset::column_names& columns) {
  std::vector<std::string> result;
  for (const auto& column : columns) {
    auto text = escape_invalid_utf8(column);
    auto name = text;
    for (auto number = 2; std::find(result.begin(), result.end(), name) != result.end(); ++number)
      name = text + "_" + std::to_string(number);
    result.push_back(std::move(name));
  }
  return result;
}

void append_all(rowset& to, const rowset& from) {
  for (size_t row = 0; row < from.size(); ++row)
    for (const auto& cell : from.row(row))
      to.append(cell);
}

void append_rows(json_writer& to, const rowset& rows, operation_kind kind, integer_form integers) {
  auto names = member_names(rows.columns());
  auto count = kind == operation_kind::one ? std::min<size_t>(1, rows.size()) : rows.size();
  to.key("columns").begin_array();
  for (const auto& name : names)
    to.text(name);
  to.end_array().key("rows").begin_array();
  for (size_t row = 0; row < count; ++row) {
    to.begin_object();
    for (size_t column = 0; column < names.size(); ++column)
      to.name(names[column]).content(rows.at(row, column), integers);
    to.end_object();
  }
  to.end_array();
}

void append_integer_form(json_writer& to, integer_form integers) {
  if (integers == integer_form::text)
    to.key("integer_text").boolean(true);
}

} // namespace

operation_outcome collected_outcome(operation_kind kind, const write_result& result) {
  operation_outcome all;
  for (const auto& each : result.results) {
    all.changes += each.changes;
    if (each.rows.columns().empty())
      continue;
    if (kind == operation_kind::batch && all.rows.columns() == each.rows.columns())
      append_all(all.rows, each.rows);
    else
      all.rows = each.rows;
  }
  return all;
}

std::string render_answer(operation_kind kind, const write_result& result, integer_form integers) {
  std::string text;
  json_writer to{text};
  auto [changes, rows] = collected_outcome(kind, result);
  to.begin_object().key("changes").number(changes).key("commit_seq").number(result.commit_seq);
  append_integer_form(to, integers);
  to.key("outcome").text(to_string(outcome::committed)).key("replayed").boolean(result.replayed);
  to.key("request_id").text(result.request_id);
  append_rows(to, rows, kind, integers);
  to.end_object();
  return text;
}

std::string render_answer(operation_kind kind, const read_result& result, integer_form integers) {
  std::string text;
  json_writer to{text};
  to.begin_object().key("as_of_seq").number(result.as_of_seq);
  append_integer_form(to, integers);
  append_rows(to, result.rows ? *result.rows : rowset{}, kind, integers);
  to.key("source").text(to_string(result.source)).key("truncated").boolean(result.truncated).end_object();
  return text;
}

} // namespace sluice
