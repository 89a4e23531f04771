#include "runtime/cli/rowset_text.hpp"

#include "runtime/cli/table.hpp"
#include "runtime/cli/terminal_text.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <iterator>

namespace sluice::cli {

namespace {

constexpr size_t shown_blob_bytes = 16;

std::string real_text(double number) {
  auto text = fmt::format("{}", number);
  // A real without a fraction is still printed as a real.
  return std::isfinite(number) && text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string blob_text(std::string_view bytes, size_t most) {
  std::string result = "x'";
  for (auto c : bytes.substr(0, most))
    fmt::format_to(std::back_inserter(result), "{:02x}", static_cast<unsigned char>(c));
  return bytes.size() > most ? fmt::format("{}...' ({} bytes)", result, bytes.size()) : result + "'";
}

std::string cell_text(const value& cell) {
  switch (cell.kind()) {
  case value_kind::null: return "NULL";
  case value_kind::integer: return std::to_string(*cell.integer());
  case value_kind::real: return real_text(*cell.real());
  case value_kind::text: return *cell.text() == "NULL" ? "'NULL'" : *cell.text();
  case value_kind::blob: return blob_text(*cell.blob_bytes(), shown_blob_bytes);
  }
  return {};
}

bool is_numeric_column(const rowset& rows, size_t column) {
  bool numbers = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& cell = rows.at(i, column);
    if (cell.text() || cell.blob_bytes())
      return false;
    numbers |= !cell.is_null();
  }
  return numbers;
}

// Readers of CSV drop spaces at the ends of unquoted text, and unquoted x'...' is a blob.
bool needs_quotes(std::string_view text) {
  return text.empty() || text.front() == ' ' || text.back() == ' ' || text.starts_with("x'")
         || text.find_first_of(",\"\r\n") != std::string_view::npos;
}

std::string quoted_if_needed(std::string_view text) {
  if (!needs_quotes(text))
    return std::string{text};
  std::string result = "\"";
  for (auto c : text) {
    if (c == '"')
      result += '"';
    result += c;
  }
  return result + "\"";
}

std::string csv_text(const std::string& text, bool for_terminal) {
  return quoted_if_needed(for_terminal ? printable(text) : text);
}

std::string csv_field(const value& cell, bool for_terminal) {
  switch (cell.kind()) {
  case value_kind::null: return {};
  case value_kind::text: return csv_text(*cell.text(), for_terminal);
  case value_kind::blob: return blob_text(*cell.blob_bytes(), cell.blob_bytes()->size());
  default: return cell_text(cell);
  }
}

std::string_view line_end(bool for_terminal) { return for_terminal ? "\n" : "\r\n"; }

} // namespace

table empty_table(const rowset& like) {
  std::vector<table::column> columns;
  for (size_t i = 0; i < like.columns().size(); ++i)
    columns.push_back({like.columns()[i], is_numeric_column(like, i) ? alignment::right : alignment::left});
  return table{std::move(columns)};
}

void add_rows(const rowset& rows, table& to) {
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string> cells;
    for (const auto& cell : rows.row(i))
      cells.push_back(cell_text(cell));
    to.add(std::move(cells));
  }
}

std::string as_table(const rowset& rows) {
  auto result = empty_table(rows);
  add_rows(rows, result);
  return result.text();
}

std::string as_csv(const rowset& rows, bool for_terminal) {
  return csv_heading(rows, for_terminal) + csv_rows(rows, for_terminal);
}

std::string csv_heading(const rowset& rows, bool for_terminal) {
  std::string result;
  const auto& names = rows.columns();
  for (size_t i = 0; i < names.size(); ++i)
    result += (i > 0 ? "," : "") + csv_text(names[i], for_terminal);
  return result += line_end(for_terminal);
}

std::string csv_rows(const rowset& rows, bool for_terminal) {
  std::string result;
  const auto& names = rows.columns();
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < names.size(); ++j) {
      if (j > 0)
        result += ',';
      result += csv_field(rows.at(i, j), for_terminal);
    }
    result += line_end(for_terminal);
  }
  return result;
}

} // namespace sluice::cli
