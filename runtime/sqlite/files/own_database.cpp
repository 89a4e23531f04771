#include "runtime/sqlite/files/own_database.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/file_permissions.hpp"

namespace sluice::sqlite {

caf::expected<bool> is_own_database(const connection& db, const own_database& kind) {
  auto application = read_number(db, "PRAGMA application_id");
  auto format = read_number(db, "PRAGMA user_version");
  auto objects = read_number(db, "SELECT count(*) FROM sqlite_schema");
  for (auto* each : {&application, &format, &objects})
    if (!*each)
      return std::move(each->error());
  if (*application == 0 && *objects == 0)
    return false;
  if (*application != kind.application_id)
    return make_error(errc::corrupt, kind.mismatch_message);
  if (*format > kind.format || *format < (kind.oldest_format > 0 ? kind.oldest_format : kind.format))
    return make_error(errc::protocol_mismatch, std::string{"the "} + kind.name + " has the format "
                                                 + std::to_string(*format) + "; this program knows format "
                                                 + std::to_string(kind.format));
  return *objects > 0;
}

caf::expected<connection> open_own_database(const std::filesystem::path& path, const own_database& kind,
                                            const std::string& schema, connection_options options) {
  make_private(path);
  options.mode = open_mode::read_write_create;
  options.auto_checkpoint_pages = 1'000;
  auto db = connection::open(path, options);
  if (!db)
    return db;
  auto has_schema = is_own_database(*db, kind);
  if (!has_schema)
    return std::move(has_schema.error());
  if (*has_schema) {
    // After a power cut with synchronous = NORMAL, the log may contain valid frames after a missing one. Writing the
    // missing frame again would make them valid. After a checkpoint the next write restarts the log; frames that
    // another connection still uses stay in it.
    static_cast<void>(db->exec("PRAGMA wal_checkpoint(PASSIVE)"));
    return db;
  }
  auto sql = schema + "; PRAGMA application_id = " + std::to_string(kind.application_id)
             + "; PRAGMA user_version = " + std::to_string(kind.format);
  if (auto made = exec_atomically(*db, sql.c_str()); !made)
    return made.error();
  return db;
}

caf::error explain_mismatch(caf::error error, const own_database& kind) {
  return code_of(error) == errc::sql_error ? make_error(errc::corrupt, kind.mismatch_message) : error;
}

} // namespace sluice::sqlite
