#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/audit/audit_gaps.hpp"
#include "runtime/sqlite/audit/audit_reader.hpp"
#include "runtime/sqlite/audit/audit_row.hpp"
#include "runtime/sqlite/audit/audit_segment.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace sluice::sqlite {

namespace {

// Records with a common hash: a row of format 1, or a segment.
struct link {
  int64_t first_seq = 0;
  // 1 if the records cannot be counted.
  uint64_t records = 1;
  std::string_view prev_hash;
  std::string_view hash;
};

// The verdict on one record or segment after another.
class audit_chain_check {
public:
  explicit audit_chain_check(std::map<int64_t, std::string> roots) : roots_(std::move(roots)) {}

  /// The chain begins after it.
  void begin_behind(const chain_anchor& anchor, const std::string& doubt);

  void next(const stored_audit_row& row);
  void next(const audit_segment& segment);

  /// The records from the next one on to before `next` are unreadable.
  void skip_unreadable(int64_t next) {
    broken(last_seq_ + 1, "cannot be read: the file is damaged there");
    previous_.reset();
    last_seq_ = next - 1;
  }

  int64_t last_seq() const noexcept { return last_seq_; }
  audit_verdict take() { return std::move(verdict_); }

private:
  template <class MatchesHash> void check(const link& found, bool is_well_typed, MatchesHash matches_hash);
  std::string_view root_of(int64_t store) const;
  void broken(int64_t first, int64_t last, std::string_view reason);
  void broken(int64_t seq, std::string_view reason) { broken(seq, seq, reason); }

  std::map<int64_t, std::string> roots_;
  chain_hash hash_;
  segment_decoder decoder_;
  audit_verdict verdict_;
  int64_t last_seq_ = 0;
  // The hash of the link before, if that link exists and is unbroken.
  std::optional<std::string> previous_ = "";
};

// `reason` begins with a verb in the singular; for several records, the segment is its subject.
void audit_chain_check::broken(int64_t first, int64_t last, std::string_view reason) {
  if (verdict_.broken++ > 0)
    return;
  verdict_.first_broken = static_cast<uint64_t>(first);
  auto records = first == last
                   ? "record " + std::to_string(first)
                   : "the segment with the records " + std::to_string(first) + " to " + std::to_string(last);
  verdict_.reason = records + " " + std::string{reason};
}

void audit_chain_check::begin_behind(const chain_anchor& anchor, const std::string& doubt) {
  verdict_.pruned = static_cast<uint64_t>(anchor.records);
  verdict_.head = to_hex(anchor.hash);
  if (!doubt.empty())
    verdict_.problems.push_back("the audit begins behind record " + std::to_string(anchor.seq)
                                + ", and the anchor there " + doubt);
  last_seq_ = anchor.seq;
  previous_ = anchor.hash;
}

std::string_view audit_chain_check::root_of(int64_t store) const {
  auto root = roots_.find(store);
  return root == roots_.end() ? std::string_view{} : root->second;
}

template <class MatchesHash>
void audit_chain_check::check(const link& found, bool is_well_typed, MatchesHash matches_hash) {
  auto last = static_cast<int64_t>(static_cast<uint64_t>(found.first_seq) + found.records - 1);
  verdict_.records += found.records;
  verdict_.head = to_hex(found.hash);
  if (found.first_seq < 1)
    return broken(1, "has others before it that no audit wrote");
  if (found.first_seq <= last_seq_) {
    broken(found.first_seq, "is there twice");
    previous_.reset();
  } else if (found.first_seq != last_seq_ + 1) {
    broken(last_seq_ + 1, "is missing");
    previous_.reset();
  }
  last_seq_ = std::max(last_seq_, last);
  auto follows = !previous_ || *previous_ == found.prev_hash;
  previous_.reset();
  if (!is_well_typed)
    return broken(found.first_seq, last, "holds a value of the wrong type");
  if (!matches_hash())
    return broken(found.first_seq, last, "does not match its hash");
  if (!follows)
    broken(found.first_seq, last, "does not follow from the record before it");
  previous_ = found.hash;
}

void audit_chain_check::next(const stored_audit_row& row) {
  check({row.row.seq, 1, row.prev_hash, row.hash}, row.is_well_typed,
        [&] { return bytes_of(link_hash(hash_, row.row, root_of(row.row.store), row.prev_hash)) == row.hash; });
}

void audit_chain_check::next(const audit_segment& segment) {
  auto records = decoder_.decode(segment).size();
  check({segment.first_seq, std::max<uint64_t>(records, 1), segment.prev_hash, segment.hash}, segment.is_well_typed,
        [&] { return records > 0 && bytes_of(segment_hash(hash_, segment, root_of(segment.store))) == segment.hash; });
}

caf::expected<std::map<int64_t, std::string>> read_roots(const connection& db) {
  auto stmt = prepared_statement::prepare(db, "SELECT id, root FROM stores");
  if (!stmt)
    return std::move(stmt.error());
  std::map<int64_t, std::string> result;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    result.emplace(stmt->integer(0), stmt->text(1));
  }
}

// Checks the rows of `select` from its parameter 1 on, and skips unreadable ones.
template <class Read> int check_all(audit_chain_check& check, prepared_statement& select, Read read) {
  return walk_readable(
    select, std::numeric_limits<int64_t>::min(),
    {[&](const prepared_statement& row) {
       check.next(read(row));
       return true;
     },
     [&](std::optional<int64_t> next) { check.skip_unreadable(next ? *next : check.last_seq() + 2); }});
}

} // namespace

caf::expected<audit_verdict> verify_audit_file(const std::filesystem::path& path, bool immutable) {
  // The verification reads the file only once, so a large cache would be useless.
  connection_options options;
  options.page_cache_bytes = 1U << 20;
  options.immutable = immutable;
  auto db = connection::open(path, options);
  if (!db)
    return std::move(db.error());
  if (auto known = check_audit_file(*db); !known)
    return std::move(known.error());
  auto roots = read_roots(*db);
  if (!roots)
    return std::move(roots.error());
  auto tables = find_audit_tables(*db);
  if (!tables)
    return std::move(tables.error());
  prepared_statement rows;
  prepared_statement segments;
  auto rows_sql = "SELECT " + audit_columns() + " FROM audit WHERE seq >= ?1 ORDER BY seq";
  auto segments_sql =
    "SELECT " + std::string{segment_columns} + " FROM segments WHERE first_seq >= ?1 ORDER BY first_seq";
  if (tables->rows)
    if (auto ready = prepare_all(*db, {{&rows, rows_sql}}); !ready)
      return std::move(ready.error());
  if (tables->segments)
    if (auto ready = prepare_all(*db, {{&segments, segments_sql}}); !ready)
      return std::move(ready.error());
  auto anchor = read_anchor(*db);
  if (!anchor)
    return std::move(anchor.error());
  audit_chain_check check{std::move(*roots)};
  if (*anchor)
    check.begin_behind(**anchor, doubt_about(**anchor, "audit", anchor_key_path(path)));
  auto code = rows ? check_all(check, rows, read_row) : SQLITE_OK;
  if (segments)
    if (auto error = check_all(check, segments, read_segment); code == SQLITE_OK)
      code = error;
  auto verdict = check.take();
  if (verdict.records == 0 && code != SQLITE_OK)
    return to_error(db->handle(), code);
  return verdict;
}

} // namespace sluice::sqlite
