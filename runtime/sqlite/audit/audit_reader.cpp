#include "runtime/sqlite/audit/audit_reader.hpp"

#include "runtime/sqlite/audit/audit_gaps.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <string>
#include <utility>

namespace sluice::sqlite {

namespace {

// Steps through the rows of `select`; returns true when `on_row` ended it.
template <class F> caf::expected<bool> walk(prepared_statement& select, F&& on_row) {
  for (;;) {
    auto row = select.step();
    if (!row) {
      select.reset();
      return std::move(row.error());
    }
    if (!*row || !on_row(select)) {
      auto is_ended = *row;
      select.reset();
      return is_ended;
    }
  }
}

} // namespace

caf::expected<audit_tables> find_audit_tables(const connection& db) {
  auto has = [&](const char* name) {
    return read_number(db, std::string{"SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '"} + name
                             + "'");
  };
  auto rows = has("audit");
  if (!rows)
    return std::move(rows.error());
  auto segments = has("segments");
  if (!segments)
    return std::move(segments.error());
  return audit_tables{*rows > 0, *segments > 0};
}

caf::expected<audit_reader> audit_reader::on(const connection& db) {
  auto tables = find_audit_tables(db);
  if (!tables)
    return std::move(tables.error());
  audit_reader result;
  auto rows = "SELECT " + audit_columns() + " FROM audit WHERE seq >= ?1 ORDER BY seq";
  auto segments = "SELECT " + std::string{segment_columns}
                  + " FROM segments WHERE first_seq >= ?1 AND newest_us >= ?2 ORDER BY first_seq";
  if (tables->rows)
    if (auto ready = prepare_all(db, {{&result.rows_, rows}, {&result.rows_backward_, rows + " DESC"}}); !ready)
      return std::move(ready.error());
  if (tables->segments)
    if (auto ready =
          prepare_all(db, {{&result.segments_, segments},
                           {&result.segments_backward_, segments + " DESC"},
                           {&result.find_segment_, "SELECT max(first_seq) FROM segments WHERE first_seq <= ?1"}});
        !ready)
      return std::move(ready.error());
  return result;
}

// The first record of the segment that has the record `seq`, if there is one.
caf::expected<int64_t> audit_reader::segment_of(int64_t seq) {
  find_segment_.bind(1, seq);
  auto row = find_segment_.step();
  auto found = row && *row && !find_segment_.is_null(0) ? find_segment_.integer(0) : seq;
  find_segment_.reset();
  if (!row)
    return std::move(row.error());
  return found;
}

bool audit_reader::visit_row(const prepared_statement& row, const audit_range& range, const visitor& f) const {
  auto record = read_row(row).row;
  return record.ts_us < range.since_us || f(record);
}

bool audit_reader::visit_segment(const prepared_statement& row, const audit_range& range, const visitor& f,
                                 bool backward) {
  auto visit = [&](const audit_row& record) {
    return record.seq <= range.after_seq || record.ts_us < range.since_us || f(record);
  };
  auto records = decoder_.decode(read_segment(row));
  for (size_t i = 0; i < records.size(); ++i)
    if (!visit(records[backward ? records.size() - 1 - i : i]))
      return false;
  return true;
}

caf::expected<void> audit_reader::forward(const audit_range& range, const visitor& f) {
  if (rows_) {
    rows_.bind(1, range.after_seq + 1);
    auto ended = walk(rows_, [&](const prepared_statement& row) { return visit_row(row, range, f); });
    if (!ended)
      return std::move(ended.error());
    if (*ended)
      return caf::unit;
  }
  if (!segments_)
    return caf::unit;
  auto first = segment_of(range.after_seq + 1);
  if (!first)
    return std::move(first.error());
  segments_.bind(1, *first);
  segments_.bind(2, range.since_us);
  auto ended = walk(segments_, [&](const prepared_statement& row) { return visit_segment(row, range, f, false); });
  return ended ? caf::expected<void>{caf::unit} : caf::expected<void>{std::move(ended.error())};
}

caf::expected<void> audit_reader::backward(const audit_range& range, const visitor& f) {
  if (segments_) {
    auto first = segment_of(range.after_seq + 1);
    if (!first)
      return std::move(first.error());
    segments_backward_.bind(1, *first);
    segments_backward_.bind(2, range.since_us);
    auto ended =
      walk(segments_backward_, [&](const prepared_statement& row) { return visit_segment(row, range, f, true); });
    if (!ended)
      return std::move(ended.error());
    if (*ended)
      return caf::unit;
  }
  if (!rows_)
    return caf::unit;
  rows_backward_.bind(1, range.after_seq + 1);
  auto ended = walk(rows_backward_, [&](const prepared_statement& row) { return visit_row(row, range, f); });
  return ended ? caf::expected<void>{caf::unit} : caf::expected<void>{std::move(ended.error())};
}

void audit_reader::forward_around_damage(const audit_range& range, const visitor& f) {
  auto is_ended = false;
  auto keep = [&](bool goes_on) {
    is_ended = !goes_on;
    return goes_on;
  };
  if (rows_)
    walk_readable(rows_, range.after_seq + 1,
                  {[&](const prepared_statement& row) { return keep(visit_row(row, range, f)); }});
  if (!segments_ || is_ended)
    return;
  auto first = segment_of(range.after_seq + 1);
  // Numbers stay bound when the statement is reset.
  segments_.bind(2, range.since_us);
  walk_readable(segments_, first ? *first : range.after_seq + 1,
                {[&](const prepared_statement& row) { return visit_segment(row, range, f, false); }});
}

} // namespace sluice::sqlite
