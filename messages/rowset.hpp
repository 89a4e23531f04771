#pragma once

#include "messages/inspection.hpp"
#include "messages/value.hpp"

#include <memory>
#include <span>
#include <vector>

namespace sluice {

/// A table of values as a statement returned it: column names and rows, stored flat. Not synchronized; readers share it
/// as `std::shared_ptr<const rowset>`.
class rowset {
public:
  using column_names = std::vector<std::string>;

  rowset() = default;
  explicit rowset(std::shared_ptr<const column_names> columns) : columns_(std::move(columns)) {}

  const column_names& columns() const noexcept {
    static const column_names none;
    return columns_ ? *columns_ : none;
  }

  /// Number of rows.
  size_t size() const noexcept { return columns().empty() ? 0 : cells_.size() / columns().size(); }
  bool empty() const noexcept { return cells_.empty(); }

  /// The cells of row `i`, in column order. @pre `i < size()`
  std::span<const value> row(size_t i) const noexcept {
    return std::span{cells_}.subspan(i * columns().size(), columns().size());
  }

  /// The cell in row `i` and column `j`. @pre `i < size()` and `j < columns().size()`
  const value& at(size_t i, size_t j) const noexcept { return row(i)[j]; }

  /// Appends the next cell; rows fill from left to right.
  void append(value cell) {
    bytes_ += cell.footprint();
    cells_.push_back(std::move(cell));
  }

  /// Drops the last `count` cells: those of a row that would exceed a bound.
  void drop_last(size_t count) {
    while (count-- > 0) {
      bytes_ -= cells_.back().footprint();
      cells_.pop_back();
    }
  }

  /// Bytes that the cells count for in bounds.
  size_t footprint() const noexcept { return bytes_; }

  template <class Inspector> friend typename Inspector::result_type inspect(Inspector& f, rowset& x);

private:
  std::shared_ptr<const column_names> columns_;
  std::vector<value> cells_;
  size_t bytes_ = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, rowset& x) {
  auto names = x.columns();
  auto load = [&]() -> caf::error {
    x.columns_ = std::make_shared<const rowset::column_names>(std::move(names));
    x.bytes_ = 0;
    for (const auto& cell : x.cells_)
      x.bytes_ += cell.footprint();
    return caf::none;
  };
  return f(caf::meta::type_name("rowset"), names, x.cells_, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(rowset)

} // namespace sluice
