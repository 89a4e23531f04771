#include "runtime/capsule/capsule_file.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/own_database.hpp"

#include <sodium.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <variant>

namespace sluice {

namespace {

using sqlite::connection;
using sqlite::prepared_statement;

// "slcp".
constexpr sqlite::own_database capsules_kind{"file of capsules", "this file is not a file of capsules", 0x736c6370, 1};

constexpr const char* capsules_schema = R"(
  CREATE TABLE state(id INTEGER PRIMARY KEY CHECK (id = 1), lineage BLOB NOT NULL, seen_us INTEGER NOT NULL,
                     boot TEXT NOT NULL, since_boot_us INTEGER NOT NULL) STRICT;
  CREATE TABLE issued(hash BLOB PRIMARY KEY, id BLOB NOT NULL UNIQUE, text TEXT NOT NULL,
                      expires_us INTEGER NOT NULL) STRICT;
  CREATE INDEX issued_expires_us ON issued(expires_us);
  CREATE TABLE revoked(id BLOB PRIMARY KEY) STRICT;
  CREATE TABLE promotions(id INTEGER PRIMARY KEY, ts_us INTEGER NOT NULL, agent TEXT NOT NULL, db TEXT NOT NULL,
                          first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, head BLOB NOT NULL,
                          proof BLOB NOT NULL UNIQUE, policy BLOB NOT NULL) STRICT
)";

constexpr uint64_t capsules_cache_bytes = 1ULL << 20;
constexpr size_t lineage_bytes = 16;

struct as_blob {
  std::string_view bytes;
};
using argument = std::variant<int64_t, std::string_view, as_blob>;

void bind_all(prepared_statement& to, std::initializer_list<argument> arguments) {
  auto index = 0;
  for (const auto& each : arguments) {
    ++index;
    if (const auto* number = std::get_if<int64_t>(&each))
      to.bind(index, *number);
    else if (const auto* text = std::get_if<std::string_view>(&each))
      to.bind_text(index, *text);
    else
      to.bind_blob(index, std::get<as_blob>(each).bytes);
  }
}

caf::expected<void> run_once(const connection& db, std::string_view sql, std::initializer_list<argument> arguments) {
  auto stmt = prepared_statement::prepare(db, sql);
  if (!stmt)
    return std::move(stmt.error());
  bind_all(*stmt, arguments);
  return stmt->run();
}

// Calls `take` with each row.
caf::expected<void> query(const connection& db, std::string_view sql, std::initializer_list<argument> arguments,
                          const std::function<void(const prepared_statement&)>& take) {
  auto stmt = prepared_statement::prepare(db, sql);
  if (!stmt)
    return std::move(stmt.error());
  bind_all(*stmt, arguments);
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return caf::unit;
    take(*stmt);
  }
}

// Requests that use no database see these errors, too: they would not say which file is meant.
caf::error with_name(const caf::error& error) {
  constexpr std::string_view name = ".sluice/capsules.db";
  auto reason = describe(error);
  if (reason.message.find(name) == std::string::npos)
    reason.message = std::string{name} + ": " + reason.message;
  return make_error(std::move(reason));
}

caf::expected<connection> open_capsules(const std::filesystem::path& path) {
  sqlite::connection_options options;
  options.page_cache_bytes = capsules_cache_bytes;
  auto db = sqlite::open_own_database(path, capsules_kind, capsules_schema, options);
  return db ? std::move(db) : caf::expected<connection>{with_name(db.error())};
}

caf::expected<void> write_state(const connection& db, const capsule_clock::state& time) {
  std::string lineage(lineage_bytes, '\0');
  randombytes_buf(lineage.data(), lineage.size());
  return run_once(db,
                  "INSERT INTO state VALUES (1, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET seen_us = excluded.seen_us, "
                  "boot = excluded.boot, since_boot_us = excluded.since_boot_us",
                  {as_blob{lineage}, time.seen_us, std::string_view{time.boot}, time.since_boot_us});
}

// Runs `work` and keeps the time, in one transaction.
caf::expected<void> change(const std::filesystem::path& path, const capsule_clock::state& time,
                           const std::function<caf::expected<void>(const connection&)>& work) {
  auto db = open_capsules(path);
  if (!db)
    return std::move(db.error());
  auto done = db->exec("BEGIN IMMEDIATE");
  if (done)
    done = write_state(*db, time);
  if (done)
    done = work(*db);
  if (done)
    done = db->exec("COMMIT");
  if (!done && db->in_transaction())
    static_cast<void>(db->exec("ROLLBACK"));
  return done ? done : caf::expected<void>{with_name(sqlite::explain_mismatch(std::move(done.error()), capsules_kind))};
}

caf::expected<void> change_no_row(const connection&) { return caf::unit; }

caf::error capsules_damaged() {
  return make_error(errc::corrupt, ".sluice/capsules.db, the file of capsules, is damaged");
}

} // namespace

caf::expected<std::optional<capsule_file::content>> capsule_file::load() const {
  std::error_code failed;
  if (std::filesystem::symlink_status(path_, failed).type() == std::filesystem::file_type::not_found)
    return std::optional<content>{};
  auto db = open_capsules(path_);
  if (!db)
    return std::move(db.error());
  std::optional<content> result;
  auto done = query(*db, "SELECT lineage, seen_us, boot, since_boot_us FROM state", {}, [&](const auto& row) {
    result.emplace(content{std::string{row.blob(0)}, {row.integer(1), std::string{row.text(2)}, row.integer(3)}, {}});
  });
  if (done && result)
    done =
      query(*db, "SELECT id FROM revoked", {}, [&](const auto& row) { result->revoked.emplace_back(row.blob(0)); });
  if (!done)
    return with_name(sqlite::explain_mismatch(std::move(done.error()), capsules_kind));
  if (result && result->lineage.size() != lineage_bytes)
    return capsules_damaged();
  return result;
}

caf::expected<capsule_file::content> capsule_file::load_or_make(const capsule_clock::state& time) const {
  auto found = load();
  if (!found)
    return std::move(found.error());
  if (*found)
    return std::move(**found);
  if (auto made = change(path_, time, change_no_row); !made)
    return std::move(made.error());
  found = load();
  if (!found)
    return std::move(found.error());
  return *found ? caf::expected<content>{std::move(**found)} : caf::expected<content>{capsules_damaged()};
}

caf::expected<void> capsule_file::keep_time(const capsule_clock::state& time) const {
  return change(path_, time, change_no_row);
}

caf::expected<void> capsule_file::add_issued(const issued_capsule& row, const capsule_clock::state& time,
                                             int64_t forget_before_us) const {
  return change(path_, time, [&](const connection& db) {
    auto done = run_once(db, "DELETE FROM issued WHERE expires_us < ?", {forget_before_us});
    if (done)
      done = run_once(db, "INSERT INTO issued(hash, id, text, expires_us) VALUES (?, ?, ?, ?)",
                      {as_blob{row.hash}, as_blob{row.id}, std::string_view{row.text}, row.expires_us});
    return done;
  });
}

caf::expected<void> capsule_file::add_revoked(std::string_view id, const capsule_clock::state& time) const {
  return change(path_, time, [&](const connection& db) {
    return run_once(db, "INSERT INTO revoked(id) VALUES (?) ON CONFLICT DO NOTHING", {as_blob{id}});
  });
}

caf::expected<bool> capsule_file::add_promotion(const promotion& row) const {
  auto db = open_capsules(path_);
  if (!db)
    return std::move(db.error());
  auto is_new = false;
  auto stmt = prepared_statement::prepare(
    *db, "INSERT INTO promotions(ts_us, agent, db, first_seq, last_seq, head, proof, policy) "
         "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id");
  if (!stmt)
    return with_name(sqlite::explain_mismatch(std::move(stmt.error()), capsules_kind));
  bind_all(*stmt,
           {row.ts_us, std::string_view{row.agent}, std::string_view{row.db}, static_cast<int64_t>(row.first_seq),
            static_cast<int64_t>(row.last_seq), as_blob{row.head}, as_blob{row.proof}, as_blob{row.policy}});
  for (;;) {
    auto next = stmt->step();
    if (!next)
      return std::move(next.error());
    if (!*next)
      return is_new;
    is_new = true;
  }
}

caf::expected<std::optional<std::string>> capsule_file::find_text(std::string_view hash) const {
  auto db = open_capsules(path_);
  if (!db)
    return std::move(db.error());
  std::optional<std::string> result;
  auto done = query(*db, "SELECT text FROM issued WHERE hash = ?", {as_blob{hash}},
                    [&](const auto& row) { result = row.text(0); });
  if (!done)
    return with_name(sqlite::explain_mismatch(std::move(done.error()), capsules_kind));
  return result;
}

caf::expected<std::vector<promotion>> capsule_file::promotions(uint64_t limit) const {
  std::vector<promotion> result;
  auto present = load();
  if (!present)
    return std::move(present.error());
  if (!*present)
    return result;
  auto db = open_capsules(path_);
  if (!db)
    return std::move(db.error());
  auto done = query(*db,
                    "SELECT id, ts_us, agent, db, first_seq, last_seq, head, proof, policy FROM promotions "
                    "ORDER BY id DESC LIMIT ?",
                    {static_cast<int64_t>(limit)}, [&](const auto& row) {
                      result.push_back({static_cast<uint64_t>(row.integer(0)), row.integer(1), std::string{row.text(2)},
                                        std::string{row.text(3)}, static_cast<uint64_t>(row.integer(4)),
                                        static_cast<uint64_t>(row.integer(5)), std::string{row.blob(6)},
                                        std::string{row.blob(7)}, std::string{row.blob(8)}});
                    });
  if (!done)
    return with_name(sqlite::explain_mismatch(std::move(done.error()), capsules_kind));
  std::reverse(result.begin(), result.end());
  return result;
}

} // namespace sluice
