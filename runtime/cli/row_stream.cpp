#include "runtime/cli/row_stream.hpp"

#include "runtime/cli/rowset_text.hpp"
#include "runtime/json/json.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <utility>

namespace sluice::cli {

delivery row_stream::print(const cursor_page& page) {
  auto text = text_of(page);
  has_begun_ = true;
  rows_ += page.rows->size();
  return format_ == row_format::json ? print_json(text) : cli::print(text);
}

std::string row_stream::text_of(const cursor_page& page) {
  switch (format_) {
  case row_format::json: return json_of(page);
  case row_format::table: return table_of(page);
  case row_format::csv: break;
  }
  auto for_terminal = is_read_by_terminal();
  return has_begun_ ? csv_rows(*page.rows, for_terminal) : as_csv(*page.rows, for_terminal);
}

// The document of a read, printed in parts between its rows: if it is interrupted, it has no end and is not valid JSON.
std::string row_stream::json_of(const cursor_page& page) const {
  read_result shape;
  shape.rows = std::make_shared<const rowset>(std::make_shared<const rowset::column_names>(page.rows->columns()));
  shape.as_of_seq = page.as_of_seq;
  auto frame = dump(as_json(shape, integers_)) + "\n";
  // This cannot match inside a text, where quotes are escaped by a backslash.
  constexpr std::string_view no_rows = R"(,"rows":[])";
  auto at = frame.find(no_rows) + no_rows.size() - 1;
  auto result = has_begun_ ? std::string{} : frame.substr(0, at);
  if (rows_ > 0 && !page.rows->empty())
    result += ',';
  result += render_rows(*page.rows, integers_);
  if (page.is_last)
    result += frame.substr(at);
  return result;
}

std::string row_stream::table_of(const cursor_page& page) {
  auto is_first = !table_;
  if (is_first)
    table_ = empty_table(*page.rows);
  add_rows(*page.rows, *table_);
  auto result = (is_first ? table_->heading_text() : std::string{}) + table_->rows_text();
  table_->drop_rows();
  return result;
}

} // namespace sluice::cli
