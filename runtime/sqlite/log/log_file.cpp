#include "runtime/sqlite/log/log_file.hpp"

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/file_watch.hpp"
#include "runtime/sqlite/files/own_database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <sys/stat.h>

namespace sluice::sqlite {

namespace {

// "sllg".
constexpr own_database log_kind{"log database", "this file is not a log database", 0x736c6c67, 1};

// Ids are not reused even if the last entries have been pruned: followers remember them.
constexpr const char* log_schema = R"(
  CREATE TABLE log(id INTEGER PRIMARY KEY AUTOINCREMENT, ts_us INTEGER NOT NULL, level INTEGER NOT NULL,
                   source TEXT NOT NULL, agent TEXT NOT NULL, message TEXT NOT NULL) STRICT;
  CREATE INDEX log_ts_us ON log(ts_us)
)";

// Entries are read from the end, or by their time, so a large cache gains little.
constexpr uint64_t log_page_cache_bytes = 2ULL << 20;

constexpr size_t max_bytes = 8ULL << 20;

constexpr int64_t as_signed(uint64_t number) {
  return static_cast<int64_t>(std::min<uint64_t>(number, std::numeric_limits<int64_t>::max()));
}

size_t entry_footprint(const log_entry& entry) {
  return sizeof(log_entry) + entry.source.size() + entry.agent.size() + entry.message.size();
}

std::optional<struct stat> status_of_file(const std::filesystem::path& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0)
    return std::nullopt;
  return info;
}

class log_file final : public log_store {
public:
  explicit log_file(std::filesystem::path path) : path_(std::move(path)), files_(path_) {}

  caf::expected<void> append(std::span<const log_entry> entries) override;
  caf::expected<log_page> list(const log_query& query) override;
  caf::expected<uint64_t> prune(int64_t before_us) override;

private:
  // Destroyed in the order that SQLite requires: statements before their connection.
  struct opened {
    connection db;
    prepared_statement begin{};
    prepared_statement insert{};
    prepared_statement commit{};
    prepared_statement prune{};
  };

  // Opens the file if necessary; writers create a missing one.
  caf::expected<bool> open(bool make);
  caf::expected<void> insert(std::span<const log_entry> entries);
  caf::expected<log_page> select(const log_query& query);

  // After an error the state of the connection is unknown.
  caf::error give_up(caf::error error) {
    if (file_ && file_->db.in_transaction())
      static_cast<void>(file_->db.exec("ROLLBACK"));
    file_.reset();
    return error;
  }

  std::filesystem::path path_;
  file_watch files_;
  std::optional<opened> file_;
};

caf::expected<void> log_file::append(std::span<const log_entry> entries) {
  if (auto ready = open(true); !ready)
    return give_up(std::move(ready.error()));
  if (auto done = insert(entries); !done)
    return give_up(std::move(done.error()));
  return caf::unit;
}

caf::expected<bool> log_file::open(bool make) {
  auto moved = file_ && file_->db.file_moved();
  if (file_ && !moved && !files_.log_moved())
    return true;
  file_.reset();
  if (moved)
    files_.remove_stale_log();
  auto found = status_of_file(path_);
  if (!found && !make)
    return false;
  if (found && !S_ISREG(found->st_mode))
    return make_error(errc::corrupt, "this is not a file");
  connection_options options;
  options.synchronous = synchronous_mode::normal;
  options.page_cache_bytes = log_page_cache_bytes;
  auto db = open_own_database(path_, log_kind, log_schema, options);
  if (!db)
    return std::move(db.error());
  opened result{std::move(*db)};
  auto ready = prepare_all(
    result.db, {{&result.begin, "BEGIN IMMEDIATE"},
                {&result.insert, "INSERT INTO log(ts_us, level, source, agent, message) VALUES (?, ?, ?, ?, ?)"},
                {&result.commit, "COMMIT"},
                {&result.prune, "DELETE FROM log WHERE ts_us < ?"}});
  if (!ready)
    return explain_mismatch(std::move(ready.error()), log_kind);
  file_ = std::move(result);
  files_.note();
  return true;
}

caf::expected<void> log_file::insert(std::span<const log_entry> entries) {
  if (auto begun = file_->begin.run(); !begun)
    return begun;
  for (const auto& entry : entries) {
    auto& stmt = file_->insert;
    stmt.bind(1, entry.ts_us);
    stmt.bind(2, static_cast<int64_t>(entry.level));
    stmt.bind_text(3, entry.source);
    stmt.bind_text(4, entry.agent);
    stmt.bind_text(5, entry.message);
    if (auto done = stmt.run(); !done)
      return done;
  }
  return file_->commit.run();
}

caf::expected<log_page> log_file::list(const log_query& query) {
  auto ready = open(false);
  if (!ready)
    return give_up(std::move(ready.error()));
  if (!*ready)
    return log_page{};
  auto page = select(query);
  if (!page)
    return give_up(std::move(page.error()));
  return page;
}

caf::expected<log_page> log_file::select(const log_query& query) {
  std::string where = "level >= ?";
  std::vector<value> bound{static_cast<int64_t>(query.least)};
  auto require = [&](const char* condition, value parameter) {
    where += std::string{" AND "} + condition;
    bound.push_back(std::move(parameter));
  };
  if (!query.source.empty())
    require("source = ?", query.source);
  if (!query.agent.empty())
    require("agent = ?", query.agent);
  if (!query.contains.empty())
    require("instr(message, ?) > 0", query.contains);
  if (query.since_us != 0)
    require("ts_us >= ?", query.since_us);
  if (query.after_id > 0)
    require("id > ?", as_signed(query.after_id));
  bound.emplace_back(as_signed(query.limit));
  auto stmt =
    prepared_statement::prepare(file_->db, "SELECT id, ts_us, level, source, agent, message FROM log WHERE " + where
                                             + " ORDER BY id " + (query.newest ? "DESC" : "ASC") + " LIMIT ?");
  if (!stmt)
    return std::move(stmt.error());
  for (size_t i = 0; i < bound.size(); ++i)
    stmt->bind(static_cast<int>(i) + 1, bound[i]);
  log_page result;
  size_t bytes = 0;
  for (;;) {
    auto more = stmt->step();
    if (!more)
      return std::move(more.error());
    if (!*more)
      break;
    log_entry entry;
    entry.id = static_cast<uint64_t>(stmt->integer(0));
    entry.ts_us = stmt->integer(1);
    entry.level = static_cast<log_level>(std::clamp<int64_t>(stmt->integer(2), 0, detail::log_level_names.size() - 1));
    entry.source = stmt->text(3);
    entry.agent = stmt->text(4);
    entry.message = stmt->text(5);
    bytes += entry_footprint(entry);
    result.truncated = bytes > max_bytes && !result.entries.empty();
    if (result.truncated)
      break;
    result.entries.push_back(std::move(entry));
  }
  if (query.newest)
    std::reverse(result.entries.begin(), result.entries.end());
  return result;
}

caf::expected<uint64_t> log_file::prune(int64_t before_us) {
  auto ready = open(false);
  if (!ready)
    return give_up(std::move(ready.error()));
  if (!*ready)
    return uint64_t{0};
  file_->prune.bind(1, before_us);
  if (auto done = file_->prune.run(); !done)
    return give_up(std::move(done.error()));
  auto count = read_number(file_->db, "SELECT changes()");
  if (!count)
    return give_up(std::move(count.error()));
  return static_cast<uint64_t>(*count);
}

} // namespace

std::unique_ptr<log_store> make_log_store(std::filesystem::path path) {
  return std::make_unique<log_file>(std::move(path));
}

} // namespace sluice::sqlite
