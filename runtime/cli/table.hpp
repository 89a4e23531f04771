#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::cli {

enum class alignment : uint8_t { left, right };

/// Text in columns, for people. Cells are made printable and padded by code points.
class table {
public:
  struct column {
    std::string heading;
    alignment align = alignment::left;
  };

  explicit table(std::vector<column> columns);

  /// Appends a row. @pre as many cells as columns
  void add(std::vector<std::string> cells);

  bool empty() const noexcept { return rows_.empty(); }

  /// Headings, a rule, and the rows; each line ends with a newline.
  std::string text() const { return heading_text() + rows_text(); }

  /// The two parts of `text()`. Columns are as wide as the rows so far require; in a table that is printed in parts,
  /// later rows may be wider.
  std::string heading_text() const;
  std::string rows_text() const;

  /// Removes the rows, which have been printed; the columns keep their width.
  void drop_rows() { rows_.clear(); }

private:
  template <class Cell> void append_line(std::string& to, Cell cell) const;

  std::vector<column> columns_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

} // namespace sluice::cli
