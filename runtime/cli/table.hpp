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
  std::string text() const;

private:
  std::vector<column> columns_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

} // namespace sluice::cli
