#pragma once

#include "runtime/broker/cursor.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/json/json_values.hpp"

#include <cstdint>
#include <optional>

namespace sluice::cli {

enum class row_format : uint8_t { table, csv, json };

/// Prints the pages of a cursor as they arrive, in the same form as a complete answer. Keeps no row. The columns of a
/// table are as wide as the rows so far require; rows of later pages may be wider.
class row_stream {
public:
  row_stream(row_format format, integer_form integers) : format_(format), integers_(integers) {}

  /// Prints the rows of the next page; before the first page the head of the output, after the last one its end.
  delivery print(const cursor_page& page);

  /// Whether output has begun, so that no other document may follow.
  bool has_begun() const noexcept { return has_begun_; }
  uint64_t rows() const noexcept { return rows_; }

private:
  std::string text_of(const cursor_page& page);
  std::string json_of(const cursor_page& page) const;
  std::string table_of(const cursor_page& page);

  row_format format_;
  integer_form integers_;
  bool has_begun_ = false;
  uint64_t rows_ = 0;
  std::optional<table> table_;
};

} // namespace sluice::cli
