#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/audit/audit_gaps.hpp"
#include "runtime/sqlite/audit/audit_row.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <sqlite3.h>

#include <limits>
#include <map>
#include <optional>

namespace sluice::sqlite {

namespace {

// The verdict on one record after another.
class audit_chain_check {
public:
  explicit audit_chain_check(std::map<int64_t, std::string> roots) : roots_(std::move(roots)) {}

  void next(const stored_audit_row& row);

  /// The records from the next one on to before `next` cannot be read.
  void skip_unreadable(int64_t next) {
    broken(last_seq_ + 1, "cannot be read: the file is damaged there");
    previous_.reset();
    last_seq_ = next - 1;
  }

  int64_t last_seq() const noexcept { return last_seq_; }
  audit_verdict take() { return std::move(verdict_); }

private:
  bool matches_hash(const stored_audit_row& row);
  void broken(int64_t seq, std::string_view why);

  std::map<int64_t, std::string> roots_;
  chain_hash hash_;
  audit_verdict verdict_;
  int64_t last_seq_ = 0;
  // The hash of the record before, if that one is there and unbroken.
  std::optional<std::string> previous_ = "";
};

void audit_chain_check::broken(int64_t seq, std::string_view why) {
  if (verdict_.broken++ > 0)
    return;
  verdict_.first_broken = static_cast<uint64_t>(seq);
  verdict_.reason = "record " + std::to_string(seq) + " " + std::string{why};
}

bool audit_chain_check::matches_hash(const stored_audit_row& row) {
  auto root = roots_.find(row.row.store);
  auto root_text = root == roots_.end() ? std::string_view{} : root->second;
  return bytes_of(link_hash(hash_, row.row, root_text, row.prev_hash)) == row.hash;
}

void audit_chain_check::next(const stored_audit_row& row) {
  ++verdict_.records;
  verdict_.head = to_hex(row.hash);
  if (row.row.seq < 1)
    return broken(1, "has others before it that no audit wrote");
  if (row.row.seq != last_seq_ + 1) {
    broken(last_seq_ + 1, "is missing");
    previous_.reset();
  }
  last_seq_ = row.row.seq;
  auto follows = !previous_ || *previous_ == row.prev_hash;
  previous_.reset();
  if (!row.well_typed)
    return broken(row.row.seq, "holds a value of the wrong type");
  if (!matches_hash(row))
    return broken(row.row.seq, "does not match its hash");
  if (!follows)
    broken(row.row.seq, "does not follow from the record before it");
  previous_ = row.hash;
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

// Walks the table and goes around what cannot be read.
class chain_walk {
public:
  chain_walk(prepared_statement select, std::map<int64_t, std::string> roots)
    : select_(std::move(select)), check_(std::move(roots)) {}

  caf::expected<audit_verdict> run() {
    auto code = walk_from(std::numeric_limits<int64_t>::min());
    auto first = code;
    while (code != SQLITE_DONE) {
      auto next = readable_after(select_, check_.last_seq() + 1);
      if (!next) {
        check_.skip_unreadable(check_.last_seq() + 2);
        break;
      }
      check_.skip_unreadable(*next);
      code = walk_from(*next);
    }
    auto verdict = check_.take();
    if (verdict.records == 0 && first != SQLITE_DONE)
      return to_error(sqlite3_db_handle(select_.handle()), first);
    return verdict;
  }

private:
  // Checks the records from `seq` on; SQLITE_DONE at the end of the table, else why it went no further.
  int walk_from(int64_t seq) {
    select_.bind(1, seq);
    auto code = select_.step_code();
    for (; code == SQLITE_ROW; code = select_.step_code())
      check_.next(read_row(select_));
    select_.reset();
    return code;
  }

  prepared_statement select_;
  audit_chain_check check_;
};

} // namespace

caf::expected<audit_verdict> verify_audit_file(const std::filesystem::path& path, bool immutable) {
  // It reads the file once through; the default cache would only be filled for nothing.
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
  auto select =
    prepared_statement::prepare(*db, "SELECT " + audit_columns() + " FROM audit WHERE seq >= ?1 ORDER BY seq");
  if (!select)
    return std::move(select.error());
  return chain_walk{std::move(*select), std::move(*roots)}.run();
}

} // namespace sluice::sqlite
