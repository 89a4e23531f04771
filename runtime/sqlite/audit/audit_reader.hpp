#pragma once

#include "runtime/sqlite/audit/audit_row.hpp"
#include "runtime/sqlite/audit/audit_segment.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <functional>
#include <limits>

namespace sluice::sqlite {

/// The records to read.
struct audit_range {
  /// Only records with numbers greater than this.
  int64_t after_seq = 0;
  /// Leaves out segments without a record as new as this; reads the others completely.
  int64_t since_us = std::numeric_limits<int64_t>::min();
};

/// Reads the records of an audit file: the rows of the table `audit`, which files of format 1 have, and the segments
/// after them. Leaves out a damaged segment, which `verify_audit_file` reports.
///
/// Belongs to the thread that uses its connection, and is destroyed before the connection.
class audit_reader {
public:
  /// Receives a record, valid until it returns; false ends the reading.
  using visitor = std::function<bool(const audit_row& record)>;

  static caf::expected<audit_reader> on(const connection& db);

  /// In the order of their numbers. `errc::corrupt` when a page cannot be read.
  caf::expected<void> forward(const audit_range& range, const visitor& f);

  /// The newest first; errors as `forward`.
  caf::expected<void> backward(const audit_range& range, const visitor& f);

  /// As `forward`, but skips unreadable pages.
  void forward_around_damage(const audit_range& range, const visitor& f);

private:
  caf::expected<int64_t> segment_of(int64_t seq);
  bool visit_row(const prepared_statement& row, const audit_range& range, const visitor& f) const;
  bool visit_segment(const prepared_statement& row, const audit_range& range, const visitor& f, bool backward);

  // Null where the file has no such table.
  prepared_statement rows_;
  prepared_statement rows_backward_;
  prepared_statement segments_;
  prepared_statement segments_backward_;
  prepared_statement find_segment_;
  segment_decoder decoder_;
};

/// Whether the file has the table `audit` of format 1, and the table `segments` of format 2.
struct audit_tables {
  bool rows = false;
  bool segments = false;
};

caf::expected<audit_tables> find_audit_tables(const connection& db);

} // namespace sluice::sqlite
