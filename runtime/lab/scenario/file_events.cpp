#include "runtime/lab/scenario/file_events.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/vfs_file.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace sluice::scenario {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

caf::error cannot(const std::string& action, const std::string& db) {
  return make_error(errc::io_error, db + " cannot be " + action);
}

caf::expected<json> backup(const fs::path& root, const std::string& db, const std::string& as) {
  auto opened = sqlite::connection::open(root / db, {});
  if (!opened)
    return std::move(opened.error());
  auto stmt = sqlite::prepared_statement::prepare(*opened, "VACUUM INTO ?1");
  if (!stmt)
    return std::move(stmt.error());
  auto to = (root / as).string();
  stmt->bind_text(1, to);
  if (auto done = stmt->run(); !done)
    return std::move(done.error());
  return json::object();
}

// Overwrites like `cp`: the file stays the same, with other content. SQLite's disk may be simulated; the system's file
// must change, too, so that the broker notices.
bool overwrite(const fs::path& from, const fs::path& to) {
  auto content = sqlite::read_file(from);
  return content && sqlite::write_file(to, *content, false) && utimensat(AT_FDCWD, to.c_str(), nullptr, 0) == 0;
}

caf::expected<json> restore(const fs::path& root, const std::string& db, const std::string& from,
                            const std::string& method) {
  std::error_code failed;
  if (method == "rename")
    fs::rename(root / from, root / db, failed);
  if (failed || (method == "copy" && !overwrite(root / from, root / db)))
    return cannot("restored", db);
  return json::object();
}

caf::expected<json> remove(const fs::path& root, const std::string& db, const std::string& files) {
  std::error_code ignored;
  auto file = (root / db).string();
  if (files == "log" || files == "all")
    fs::remove(file + "-wal", ignored);
  if (files == "index" || files == "all")
    fs::remove(file + "-shm", ignored);
  if (files == "database" || files == "all")
    fs::remove(file, ignored);
  return json::object();
}

caf::expected<std::string> integrity_of(const fs::path& file) {
  auto opened = sqlite::connection::open(file, {});
  if (!opened)
    return std::move(opened.error());
  auto stmt = sqlite::prepared_statement::prepare(*opened, "PRAGMA integrity_check(1)");
  auto row = stmt ? stmt->step() : caf::expected<bool>{std::move(stmt.error())};
  if (!row)
    return std::move(row.error());
  return std::string{stmt->text(0)};
}

caf::expected<json> copy(const fs::path& root, const std::string& db) {
  auto to = (root / ("copy-of-" + db)).string();
  for (const auto* suffix : {"", "-wal"}) {
    std::error_code ignored;
    if (!fs::exists((root / db).string() + suffix, ignored))
      continue;
    auto content = sqlite::read_file((root / db).string() + suffix);
    if (!content || !sqlite::write_file(to + suffix, *content, false))
      return cannot("copied", db);
  }
  auto integrity = integrity_of(to);
  auto newest = sqlite::last_commit_seq(to);
  for (const auto* suffix : {"-wal", "-shm", ""})
    sqlite::remove_file(to + suffix);
  if (!integrity || !newest)
    return integrity ? std::move(newest.error()) : std::move(integrity.error());
  return json{{"integrity", *integrity}, {"last_commit_seq", *newest}};
}

} // namespace

json as_write(json fields) {
  fields["statements"] = json::array({json{{"sql", fields.at("sql")}}});
  fields.erase("sql");
  return fields;
}

caf::expected<json> change_files(const fs::path& root, const json& command) {
  auto action = command.value("do", "");
  auto db = command.value("db", "");
  if (action == "backup")
    return backup(root, db, command.value("as", ""));
  if (action == "restore")
    return restore(root, db, command.value("from", ""), command.value("how", ""));
  if (action == "remove")
    return remove(root, db, command.value("what", ""));
  if (action == "copy")
    return copy(root, db);
  return make_error(errc::internal, "nothing is known of " + action);
}

} // namespace sluice::scenario
