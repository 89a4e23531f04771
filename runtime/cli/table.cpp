#include "runtime/cli/table.hpp"

#include "runtime/cli/terminal_text.hpp"

#include <algorithm>

namespace sluice::cli {

namespace {

constexpr std::string_view gap = "  ";

void append_cell(std::string& line, const std::string& cell, size_t column_width, alignment align) {
  std::string padding(column_width - width(cell), ' ');
  line += align == alignment::right ? padding + cell : cell + padding;
}

} // namespace

table::table(std::vector<column> columns) : columns_(std::move(columns)) {
  for (auto& column : columns_) {
    column.heading = printable(column.heading);
    widths_.push_back(std::max<size_t>(1, width(column.heading)));
  }
}

void table::add(std::vector<std::string> cells) {
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i] = printable(cells[i]);
    widths_[i] = std::max(widths_[i], width(cells[i]));
  }
  rows_.push_back(std::move(cells));
}

template <class Cell> void table::append_line(std::string& to, Cell cell) const {
  std::string line;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0)
      line += gap;
    append_cell(line, cell(i), widths_[i], columns_[i].align);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  to += line + "\n";
}

std::string table::heading_text() const {
  std::string result;
  append_line(result, [&](size_t i) -> const std::string& { return columns_[i].heading; });
  append_line(result, [&](size_t i) { return std::string(widths_[i], '-'); });
  return result;
}

std::string table::rows_text() const {
  std::string result;
  for (const auto& row : rows_)
    append_line(result, [&](size_t i) -> const std::string& { return row[i]; });
  return result;
}

} // namespace sluice::cli
