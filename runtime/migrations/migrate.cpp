#include "runtime/migrations/migrate.hpp"

#include "actors/base/counted.hpp"
#include "messages/error.hpp"

#include <fmt/format.h>

#include <utility>

namespace sluice {

namespace {

constexpr uint64_t max_rows = 100'000;

read_request question(const char* sql, const migrate_options& options) {
  read_request result;
  result.agent = options.agent;
  result.query = {sql};
  // An answer from the cache may be older than a migration of another process.
  result.freshness = freshness::fresh;
  result.limits.max_rows = max_rows;
  result.limits.max_bytes = uint64_t{256} << 20;
  return result;
}

applied_migration row_of(const rowset& rows, size_t i) {
  auto number = [&](size_t column) { return rows.at(i, column).integer() ? *rows.at(i, column).integer() : 0; };
  auto text = [&](size_t column) { return rows.at(i, column).text() ? *rows.at(i, column).text() : std::string{}; };
  return {static_cast<uint64_t>(number(0)), text(1), text(2), number(3), text(4), static_cast<uint64_t>(number(5))};
}

caf::expected<std::vector<applied_migration>> read_applied(migration_target& target, const migrate_options& options) {
  using rows = std::vector<applied_migration>;
  auto found =
    target.read(question("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sluice_migrations'", options));
  // The first migration makes the database.
  if (!found && code_of(found.error()) == errc::unknown_database)
    return rows{};
  if (!found || found->rows->empty())
    return found ? caf::expected<rows>{rows{}} : std::move(found.error());
  auto answer = target.read(question(
    "SELECT number, name, hash, applied_us, agent, commit_seq FROM _sluice_migrations ORDER BY number", options));
  if (!answer)
    return std::move(answer.error());
  if (answer->truncated)
    return make_error(errc::too_large, fmt::format("the database has more than {} migrations", max_rows));
  rows result;
  for (size_t i = 0; i < answer->rows->size(); ++i)
    result.push_back(row_of(*answer->rows, i));
  return result;
}

// Names the file, and says what stays.
caf::error failed(const migration_file& file, const caf::error& error, size_t applied) {
  auto reason = describe(error);
  if (!reason.message.starts_with(file.name + ":"))
    reason.message = file.name + ": " + reason.message;
  if (applied > 0)
    reason.message +=
      fmt::format("; the {} before it {} applied", counted(applied, "migration"), applied == 1 ? "stays" : "stay");
  return make_error(std::move(reason));
}

} // namespace

caf::expected<std::vector<planned_migration>>
plan_migrations(migration_target& target, const std::filesystem::path& folder, const migrate_options& options) {
  auto files = read_migration_folder(folder);
  if (!files)
    return std::move(files.error());
  auto rows = read_applied(target, options);
  if (!rows)
    return std::move(rows.error());
  return plan_migrations(std::move(*files), std::move(*rows));
}

caf::expected<migrated> migrate(migration_target& target, const std::filesystem::path& folder,
                                const migrate_options& options) {
  auto plan = plan_migrations(target, folder, options);
  if (!plan)
    return std::move(plan.error());
  if (auto error = refusal_of(*plan))
    return error;
  migrated result;
  for (const auto& each : *plan) {
    if (each.state == migration_state::applied) {
      ++result.before;
      continue;
    }
    if (options.progress)
      options.progress(each.file, nullptr);
    auto done = target.apply(each.file, options);
    if (!done)
      return failed(each.file, done.error(), result.steps.size());
    if (options.progress)
      options.progress(each.file, &*done);
    result.steps.push_back({each.number, each.file.name, done->commit_seq, done->replayed});
  }
  return result;
}

} // namespace sluice
