#include "runtime/sqlite/ledger/migration_table.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"

#include <string>
#include <utility>

namespace sluice::sqlite {

namespace {

caf::expected<bool> has_table(const connection& db) {
  auto stmt = prepared_statement::prepare(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, migrations_table);
  return stmt->step();
}

caf::expected<void> make_table(const connection& db) {
  auto stmt = prepared_statement::prepare(db, migrations_definition.sql);
  return stmt ? stmt->run() : caf::expected<void>{std::move(stmt.error())};
}

caf::error conflict(const migration& with, const std::string& why) {
  return make_error(errc::conflict, with.name + ": migration " + std::to_string(with.number) + " " + why);
}

} // namespace

caf::expected<std::optional<write_result>> find_applied(const connection& db, const write_request& request) {
  using found = std::optional<write_result>;
  const auto& wanted = *request.migration;
  auto is_there = has_table(db);
  if (!is_there || !*is_there)
    return is_there ? caf::expected<found>{found{}} : std::move(is_there.error());
  auto stmt =
    prepared_statement::prepare(db, "SELECT name, hash, commit_seq FROM _sluice_migrations WHERE number = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, static_cast<int64_t>(wanted.number));
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (*row) {
    if (stmt->text(1) != wanted.hash)
      return conflict(wanted, "was applied as '" + std::string{stmt->text(0)} + "' with another content (SHA-256 "
                                + std::string{stmt->text(1)}
                                + "); restore that content, and put the change into a new migration");
    found result{std::in_place};
    result->replayed = true;
    result->commit_seq = static_cast<uint64_t>(stmt->integer(2));
    result->request_id = request.request_id;
    return result;
  }
  auto last = read_number(db, "SELECT coalesce(max(number), 0) FROM _sluice_migrations");
  if (!last)
    return std::move(last.error());
  if (static_cast<int64_t>(wanted.number) < *last)
    return conflict(wanted, "was not applied, but migration " + std::to_string(*last)
                              + " was; give it a higher number than " + std::to_string(*last));
  return found{};
}

caf::expected<void> record_applied(const connection& db, const write_request& request, const write_result& result,
                                   int64_t applied_us) {
  auto is_there = has_table(db);
  if (!is_there)
    return std::move(is_there.error());
  if (!*is_there)
    if (auto made = make_table(db); !made)
      return made;
  auto insert = prepared_statement::prepare(db, "INSERT INTO _sluice_migrations(number, name, hash, applied_us, agent, "
                                                "commit_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
  if (!insert)
    return std::move(insert.error());
  const auto& done = *request.migration;
  insert->bind(1, static_cast<int64_t>(done.number));
  insert->bind_text(2, done.name);
  insert->bind_text(3, done.hash);
  insert->bind(4, applied_us);
  insert->bind_text(5, request.agent);
  insert->bind(6, static_cast<int64_t>(result.commit_seq));
  return insert->run();
}

} // namespace sluice::sqlite
