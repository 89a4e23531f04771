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

  /// Headings, a rule, and the rows, each line ending in a newline.
  std::string text() const { return heading_text() + rows_text(); }

  /// The two parts of that. Columns are as wide as the rows so far need; of a table that is printed part by part, later
  /// rows may need more.
  std::string heading_text() const;
  std::string rows_text() const;

  /// Forgets the rows, which have been printed; the columns stay as wide as they are.
  void drop_rows() { rows_.clear(); }

private:
  template <class Cell> void append_line(std::string& to, Cell cell) const;

  std::vector<column> columns_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

} // namespace sluice::cli
