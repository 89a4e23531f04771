#include "runtime/sqlite/audit/audit_pruning.hpp"

#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/audit/audit_reader.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace sluice::sqlite {

namespace {

// The bound on one transaction, during which the audit actor does nothing else.
constexpr size_t max_ends = 20'000;
constexpr size_t max_segments = 256;

// The approximate size of a row of format 1; and of a segment without its records.
constexpr uint64_t bytes_of_row = 220;
constexpr uint64_t bytes_of_head = 120;

caf::expected<uint64_t> used_bytes(const connection& db) {
  uint64_t result[3] = {};
  auto* to = result;
  for (const auto* sql : {"PRAGMA page_count", "PRAGMA freelist_count", "PRAGMA page_size"}) {
    auto number = read_number(db, sql);
    if (!number)
      return std::move(number.error());
    *to++ = static_cast<uint64_t>(*number);
  }
  return (result[0] - result[1]) * result[2];
}

// Collects ends until one must stay.
class end_collector {
public:
  end_collector(const prune_bounds& bounds, uint64_t used, int64_t last_seq)
    : before_us_(bounds.before_us),
      excess_(bounds.max_bytes > 0 && used > bounds.max_bytes ? used - bounds.max_bytes : 0), last_seq_(last_seq) {}

  /// The columns seq, hash, time of the newest record, bytes.
  bool take(const prepared_statement& row, size_t most) {
    auto seq = row.integer(0);
    if (seq >= last_seq_ || (row.integer(2) >= before_us_ && excess_ == 0))
      return false;
    if (found_.ends.size() >= most) {
      found_.has_more = true;
      return false;
    }
    found_.ends.push_back({seq, std::string{row.blob(1)}});
    excess_ -= std::min(excess_, static_cast<uint64_t>(row.integer(3)));
    return true;
  }

  prunable take_found() { return std::move(found_); }

private:
  int64_t before_us_;
  uint64_t excess_;
  int64_t last_seq_;
  prunable found_;
};

// Returns false when an end must stay.
caf::expected<bool> collect(end_collector& to, const connection& db, const std::string& sql, size_t most) {
  auto stmt = prepared_statement::prepare(db, sql);
  if (!stmt)
    return std::move(stmt.error());
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return true;
    if (!to.take(*stmt, most))
      return false;
  }
}

caf::expected<void> delete_until(const connection& db, const std::string& sql, int64_t seq) {
  auto stmt = prepared_statement::prepare(db, sql);
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, seq);
  return stmt->run();
}

// Called within a transaction.
caf::expected<void> replace_by_anchor(const connection& db, const chain_anchor& anchor, const signing_key& key) {
  auto tables = find_audit_tables(db);
  if (!tables)
    return std::move(tables.error());
  if (auto written = write_anchor(db, anchor, key); !written)
    return written;
  if (tables->rows)
    if (auto removed = delete_until(db, "DELETE FROM audit WHERE seq <= ?1", anchor.seq); !removed)
      return removed;
  return delete_until(db, "DELETE FROM segments WHERE last_seq <= ?1", anchor.seq);
}

} // namespace

caf::expected<prunable> find_prunable(const connection& db, const prune_bounds& bounds, int64_t last_seq) {
  auto used = used_bytes(db);
  if (!used)
    return std::move(used.error());
  auto tables = find_audit_tables(db);
  if (!tables)
    return std::move(tables.error());
  end_collector found{bounds, *used, last_seq};
  auto goes_on = caf::expected<bool>{true};
  if (tables->rows)
    goes_on = collect(
      found, db, "SELECT seq, hash, ts_us, " + std::to_string(bytes_of_row) + " FROM audit ORDER BY seq", max_ends);
  if (goes_on && *goes_on)
    goes_on = collect(found, db,
                      "SELECT last_seq, hash, newest_us, length(records) + " + std::to_string(bytes_of_head)
                        + " FROM segments ORDER BY first_seq",
                      max_segments);
  if (!goes_on)
    return std::move(goes_on.error());
  return found.take_found();
}

caf::expected<uint64_t> remove_records(connection& db, const std::filesystem::path& audit, const chain_end& last,
                                       int64_t now_us) {
  auto key = signing_key::open_or_make(anchor_key_path(audit));
  if (!key)
    return std::move(key.error());
  auto before = read_anchor(db);
  if (!before)
    return std::move(before.error());
  auto first = first_record(db);
  if (!first)
    return std::move(first.error());
  auto removed = last.seq - *first + 1;
  chain_anchor anchor{last.seq, last.hash, removed + (*before ? (*before)->records : 0), now_us, {}, {}};
  if (auto begun = db.exec("BEGIN IMMEDIATE"); !begun)
    return std::move(begun.error());
  auto done = replace_by_anchor(db, anchor, *key);
  if (done)
    done = db.exec("COMMIT");
  if (!done) {
    if (db.in_transaction())
      static_cast<void>(db.exec("ROLLBACK"));
    return std::move(done.error());
  }
  return static_cast<uint64_t>(removed);
}

caf::expected<int64_t> first_record(const connection& db) {
  auto tables = find_audit_tables(db);
  if (!tables)
    return std::move(tables.error());
  if (tables->rows) {
    auto first = read_number(db, "SELECT coalesce(min(seq), 0) FROM audit");
    if (!first || *first > 0)
      return first;
  }
  return read_number(db, "SELECT coalesce(min(first_seq), 0) FROM segments");
}

caf::expected<int64_t> compared_until(const connection& audit, const std::string& db) {
  auto stmt = prepared_statement::prepare(audit, "SELECT audit_seq FROM databases WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, db);
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return *row ? stmt->integer(0) : 0;
}

} // namespace sluice::sqlite
