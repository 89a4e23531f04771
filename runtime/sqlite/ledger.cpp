#include "runtime/sqlite/ledger.hpp"

#include "actors/defect.hpp"

#include <sqlite3.h>

#include <array>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr int64_t format = 1;

struct table_definition {
  std::string_view name;
  std::string_view sql;
};

constexpr std::array definitions{
  table_definition{"_sluice_commits",
                   "CREATE TABLE _sluice_commits(commit_seq INTEGER PRIMARY KEY, ts_us INTEGER NOT NULL, "
                   "prev_hash BLOB NOT NULL, hash BLOB NOT NULL, requests BLOB NOT NULL)"},
  table_definition{"_sluice_keys",
                   // By number and not by key, so that rows are appended, and the oldest are where they are found.
                   "CREATE TABLE _sluice_keys(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, payload BLOB NOT NULL, "
                   "commit_seq INTEGER NOT NULL, created_us INTEGER NOT NULL, outcome BLOB NOT NULL)"},
  table_definition{"_sluice_meta", "CREATE TABLE _sluice_meta(name TEXT PRIMARY KEY, value)"},
};

caf::error misshapen() {
  return make_error(errc::corrupt, "this database has _sluice_ tables that are not a ledger's; nothing was applied");
}

caf::expected<void> check_format(const connection& db) {
  auto stmt = prepared_statement::prepare(db, "SELECT value FROM _sluice_meta WHERE name = 'format'");
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (!*row)
    return misshapen();
  auto found = stmt->column(0);
  if (found == value{format})
    return caf::unit;
  return make_error(errc::protocol_mismatch, "the ledger in this database has another format than "
                                               + std::to_string(format)
                                               + ", the one this broker knows; nothing was "
                                                 "applied");
}

// What the schema says about a name: its definition, or that something hooks into it.
struct found_tables {
  std::array<std::string, definitions.size()> sql;
  size_t tables = 0;
  bool hooked = false;
};

caf::expected<found_tables> find_tables(const connection& db) {
  auto stmt = prepared_statement::prepare(db, "SELECT type, tbl_name, sql FROM sqlite_schema WHERE tbl_name IN "
                                              "('_sluice_commits', '_sluice_keys', '_sluice_meta')");
  if (!stmt)
    return std::move(stmt.error());
  found_tables result;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    auto type = stmt->text(0);
    result.hooked |= type == "trigger" || type == "view";
    if (type != "table")
      continue;
    ++result.tables;
    for (size_t i = 0; i < definitions.size(); ++i)
      if (stmt->text(1) == definitions[i].name)
        result.sql[i] = stmt->text(2);
  }
}

} // namespace

caf::expected<bool> has_ledger(const connection& db) {
  auto found = find_tables(db);
  if (!found)
    return std::move(found.error());
  if (found->tables == 0 && !found->hooked)
    return false;
  // The format first: another one may well have other tables.
  if (found->sql[2] != definitions[2].sql)
    return misshapen();
  if (auto known = check_format(db); !known)
    return std::move(known.error());
  for (size_t i = 0; i < definitions.size(); ++i)
    if (found->sql[i] != definitions[i].sql)
      return misshapen();
  if (found->hooked)
    return misshapen();
  return true;
}

caf::expected<std::optional<std::string>> find_commit(const connection& db, uint64_t seq) {
  auto stmt = prepared_statement::prepare(db, "SELECT hash FROM _sluice_commits WHERE commit_seq = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, static_cast<int64_t>(seq));
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return *row ? std::optional{std::string{stmt->blob(0)}} : std::nullopt;
}

caf::expected<uint64_t> last_commit_seq(const std::filesystem::path& path) {
  auto db = connection::open(path, {});
  if (!db)
    return std::move(db.error());
  auto present = has_ledger(*db);
  if (!present)
    return std::move(present.error());
  if (!*present)
    return uint64_t{0};
  auto stmt = prepared_statement::prepare(*db, "SELECT max(commit_seq) FROM _sluice_commits");
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return static_cast<uint64_t>(stmt->integer(0));
}

caf::expected<void> ledger::enter(bool reread) {
  if (reread) {
    lost();
    ready_ = false;
  }
  if (!ready_) {
    auto present = has_ledger(db_);
    auto made = present && !*present ? create() : caf::expected<void>{caf::unit};
    if (!present || !made)
      return present ? std::move(made.error()) : std::move(present.error());
    if (auto prepared = prepare(); !prepared)
      return prepared;
    ready_ = true;
  }
  return head_known_ ? caf::expected<void>{caf::unit} : read_head();
}

caf::expected<void> ledger::create() {
  auto run = [&](std::string_view sql) -> caf::expected<void> {
    auto stmt = prepared_statement::prepare(db_, sql);
    return stmt ? stmt->run() : caf::expected<void>{std::move(stmt.error())};
  };
  for (const auto& table : definitions)
    if (auto done = run(table.sql); !done)
      return done;
  created_ = true;
  return run("INSERT INTO _sluice_meta(name, value) VALUES ('format', " + std::to_string(format) + ")");
}

caf::expected<void> ledger::prepare() {
  return prepare_all(db_,
                     {{&last_commit_, "SELECT commit_seq, hash FROM _sluice_commits ORDER BY commit_seq DESC LIMIT 1"},
                      {&insert_commit_, "INSERT INTO _sluice_commits(commit_seq, ts_us, prev_hash, hash, requests) "
                                        "VALUES (?1, ?2, ?3, ?4, ?5)"},
                      {&find_key_, "SELECT payload, commit_seq, outcome FROM _sluice_keys WHERE key = ?1"},
                      {&insert_key_, "INSERT INTO _sluice_keys(key, payload, commit_seq, created_us, outcome) "
                                     "VALUES (?1, ?2, ?3, ?4, ?5)"}});
}

caf::expected<void> ledger::read_head() {
  auto row = last_commit_.step();
  if (row) {
    head_seq_ = *row ? static_cast<uint64_t>(last_commit_.integer(0)) : 0;
    head_hash_ = *row ? std::string{last_commit_.blob(1)} : std::string(sizeof(digest), '\0');
    head_known_ = true;
  }
  last_commit_.reset();
  if (!row)
    return std::move(row.error());
  return caf::unit;
}

caf::expected<std::optional<write_result>> ledger::recall(const write_request& request) {
  using answer = caf::expected<std::optional<write_result>>;
  find_key_.bind_text(1, request.idempotency_key);
  auto row = find_key_.step();
  auto known = [&]() -> answer {
    if (!row)
      return std::move(row.error());
    if (!*row)
      return std::optional<write_result>{};
    if (!has(defect::ignore_payload) && find_key_.blob(0) != bytes_of(payload_digest(hash_, request)))
      return make_error(errc::payload_mismatch, "this idempotency key was used for another request");
    auto result = decode_outcome(find_key_.blob(2));
    if (!result)
      return make_error(errc::corrupt, "the outcome kept under this idempotency key cannot be read");
    result->replayed = true;
    result->commit_seq = static_cast<uint64_t>(find_key_.integer(1));
    return result;
  };
  auto result = known();
  find_key_.reset();
  return result;
}

caf::expected<void> ledger::remember(const write_request& request, const write_result& result, int64_t now_us) {
  auto payload = payload_digest(hash_, request);
  auto outcome = encode_outcome(result);
  insert_key_.bind_text(1, request.idempotency_key);
  insert_key_.bind_blob(2, bytes_of(payload));
  insert_key_.bind(3, static_cast<int64_t>(next_seq()));
  insert_key_.bind(4, now_us);
  insert_key_.bind_blob(5, outcome);
  return insert_key_.run();
}

caf::expected<digest> ledger::append(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries) {
  if (seq != next_seq())
    return make_error(errc::internal, "a commit record out of order");
  encode_requests(entries, requests_);
  appended_seq_ = seq;
  appended_hash_ = commit_hash(hash_, head_hash_, seq, ts_us, requests_);
  insert_commit_.bind(1, static_cast<int64_t>(seq));
  insert_commit_.bind(2, ts_us);
  insert_commit_.bind_blob(3, head_hash_);
  insert_commit_.bind_blob(4, bytes_of(appended_hash_));
  insert_commit_.bind_blob(5, requests_);
  if (auto done = insert_commit_.run(); !done)
    return std::move(done.error());
  return appended_hash_;
}

void ledger::committed() noexcept {
  head_seq_ = appended_seq_ + (has(defect::skip_commit_number) ? 1 : 0);
  head_hash_ = bytes_of(appended_hash_);
  created_ = false;
}

void ledger::lost() noexcept {
  ready_ = ready_ && !created_;
  created_ = false;
  head_known_ = false;
}

caf::expected<uint64_t> ledger::prune(int64_t before_us) {
  if (!ready_)
    return uint64_t{0};
  auto stmt = prepared_statement::prepare(db_, "DELETE FROM _sluice_keys WHERE created_us < ?1 AND id IN "
                                               "(SELECT id FROM _sluice_keys ORDER BY id LIMIT 5000)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, before_us);
  if (auto done = stmt->run(); !done)
    return std::move(done.error());
  return static_cast<uint64_t>(sqlite3_changes64(db_.handle()));
}

} // namespace sluice::sqlite
