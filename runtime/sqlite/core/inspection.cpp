#include "runtime/sqlite/core/inspection.hpp"

#include "runtime/os/machine_clock.hpp"
#include "runtime/sqlite/core/double_quotes.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/file_header.hpp"
#include "runtime/sqlite/files/left_log.hpp"
#include "runtime/sqlite/files/read_only_place.hpp"
#include "runtime/sqlite/ledger/key_ages.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"
#include "runtime/store/file_registry.hpp"

#include <sqlite3.h>

#include <memory>

namespace sluice::sqlite {

namespace {

using steady = std::chrono::steady_clock;

constexpr int progress_interval = 10'000;

// Interrupts a check that exceeds its time.
class time_limit {
public:
  time_limit(sqlite3* db, std::chrono::milliseconds budget) : db_(db), end_(steady::now() + budget) {
    if (budget.count() > 0)
      sqlite3_progress_handler(db, progress_interval, &time_limit::is_over, this);
  }
  ~time_limit() { sqlite3_progress_handler(db_, 0, nullptr, nullptr); }
  time_limit(const time_limit&) = delete;
  time_limit& operator=(const time_limit&) = delete;

private:
  static int is_over(void* self) noexcept { return steady::now() >= static_cast<time_limit*>(self)->end_ ? 1 : 0; }

  sqlite3* db_;
  steady::time_point end_;
};

bool has_companion(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path.native() + "-wal", ignored)
         || std::filesystem::exists(path.native() + "-journal", ignored);
}

bool was_interrupted(const caf::error& error) { return code_of(error) == errc::deadline_exceeded; }

void check_pages(connection& db, const inspection_options& options, inspection& out) {
  auto stmt = prepared_statement::prepare(db, options.deep ? "PRAGMA integrity_check(10)" : "PRAGMA quick_check(10)");
  if (!stmt) {
    out.damage.push_back(describe(stmt.error()).message);
    return;
  }
  time_limit limit{db.handle(), options.budget};
  for (;;) {
    auto row = stmt->step();
    if (!row) {
      out.checked = !was_interrupted(row.error());
      if (out.checked)
        out.damage.push_back(describe(row.error()).message);
      return;
    }
    if (!*row)
      return;
    // When it is interrupted, SQLite ends the check with this row instead of an error.
    if (stmt->text(0) == "interrupted" || stmt->text(0) == "interrupt")
      out.checked = false;
    else if (stmt->text(0) != "ok")
      out.damage.emplace_back(stmt->text(0));
  }
}

// The check of the ledger reports tables that cannot be read, or take too long.
void check_keys_and_triggers(const connection& db, const inspection_options& options, inspection& out) {
  if (auto found = find_triggers_into_ledger(db))
    out.triggers_into_ledger = std::move(*found);
  auto present = has_ledger(db);
  if (!present || !*present)
    return;
  time_limit limit{db.handle(), options.budget};
  if (auto found = find_early_keys(db, machine_time()))
    out.early_keys = std::move(*found);
}

void check_ledger(connection db, const inspection_options& options, inspection& out) {
  auto* handle = db.handle();
  auto ledger = ledger_reader::on(std::move(db));
  if (!ledger) {
    out.ledger_error = describe(ledger.error());
    return;
  }
  if (auto sound = ledger->check(); !sound)
    out.ledger_error = describe(sound.error());
  time_limit limit{handle, options.budget};
  out.epoch_begins = ledger->epoch().first;
  auto verdict = ledger->verify(options.key_file);
  if (verdict && (verdict->records > 0 || !verdict->intact()))
    out.ledger = std::move(*verdict);
  else if (!verdict && was_interrupted(verdict.error()))
    out.ledger_checked = false;
  else if (!verdict)
    out.ledger_error = describe(verdict.error());
}

caf::expected<inspection> inspect(const std::filesystem::path& path, const inspection_options& options,
                                  bool immutable) {
  connection_options way;
  way.page_cache_bytes = 8U << 20;
  way.immutable = immutable;
  auto db = connection::open(path, way);
  if (!db)
    return std::move(db.error());
  inspection out;
  check_pages(*db, options, out);
  // Unreadable parts have been reported.
  if (auto objects = find_double_quoted_text(*db))
    out.double_quoted = std::move(*objects);
  check_keys_and_triggers(*db, options, out);
  check_ledger(std::move(*db), options, out);
  return out;
}

} // namespace

void look_without_traces(const std::filesystem::path& path, const std::function<void(bool immutable)>& look) {
  if (!has_companion(path) && journal_of(path) == journal_kind::wal) {
    database_stamp before{path};
    look(true);
    if (!has_companion(path) && database_stamp{path} == before)
      return;
  }
  look(false);
}

ledger_source ledgers_without_traces(const std::filesystem::path& root) {
  auto registry = std::make_shared<file_registry>(root / ".sluice/files.json");
  return [root, registry](const std::string& db, uint64_t seq) {
    caf::expected<ledger_page> page{caf::none};
    // Any program may have changed the audit file.
    auto name = std::filesystem::path{db}.lexically_normal();
    if (name.empty() || name.is_absolute() || *name.begin() == "..") {
      page = make_error(errc::unknown_database, "this name leads out of the store");
      return page;
    }
    auto record = registry->find(db);
    // The log must not belong to another file.
    if (record && has_log_of_other_file(*record, root / db))
      return read_ledger_page(root / db, seq, true);
    look_without_traces(root / db, [&](bool immutable) { page = read_ledger_page(root / db, seq, immutable); });
    return page;
  };
}

caf::expected<inspection> inspect(const std::filesystem::path& path, const inspection_options& options) {
  caf::expected<inspection> result{caf::none};
  look_without_traces(path, [&](bool immutable) { result = inspect(path, options, immutable); });
  return result;
}

caf::expected<uint64_t> count_rejected_rows(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return uint64_t{0};
  caf::expected<uint64_t> result{uint64_t{0}};
  look_without_traces(path, [&](bool immutable) {
    connection_options way;
    way.immutable = immutable;
    auto db = connection::open(path, way);
    if (!db) {
      result = std::move(db.error());
      return;
    }
    auto stmt = prepared_statement::prepare(*db, "SELECT count(*) FROM rejected");
    auto row = stmt ? stmt->step() : caf::expected<bool>{std::move(stmt.error())};
    if (row)
      result = static_cast<uint64_t>(stmt->integer(0));
    else
      result = std::move(row.error());
  });
  return result;
}

bool has_wal_reset_bug() noexcept { return sqlite3_libversion_number() < 3'051'003; }

std::string version() { return sqlite3_libversion(); }

} // namespace sluice::sqlite
