#include "runtime/client/migrate.hpp"
#include "actors/base/counted.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/json/json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <unistd.h>

namespace sluice::cli {

namespace {

using nlohmann::json;
using plan = std::vector<planned_migration>;

struct migrate_command_options : request_options {
  std::string folder;
  int64_t deadline_ms = 0;
  bool dry_run = false;
  bool status = false;
};

json planned_json(const planned_migration& each) {
  json result{{"number", each.number}, {"name", each.name()}, {"state", to_string(each.state)}};
  if (!each.file_hash.empty())
    result["sha256"] = each.file_hash;
  if (each.row.number != 0)
    result["applied"] = {{"name", each.row.name},
                         {"sha256", each.row.hash},
                         {"ts_us", each.row.applied_us},
                         {"agent", each.row.agent},
                         {"commit_seq", each.row.commit_seq}};
  return result;
}

std::string as_text(const plan& all) {
  table result{
    {{"number", alignment::right}, {"file"}, {"state"}, {"applied at"}, {"agent"}, {"commit", alignment::right}}};
  for (const auto& each : all) {
    auto is_applied = each.row.number != 0;
    result.add({std::to_string(each.number), each.name(), std::string{to_string(each.state)},
                is_applied ? iso_time(each.row.applied_us) : "", each.row.agent,
                is_applied ? std::to_string(each.row.commit_seq) : ""});
  }
  return result.empty() ? "" : result.text();
}

// What would be applied.
plan pending_of(const plan& all) {
  plan result;
  std::copy_if(all.begin(), all.end(), std::back_inserter(result),
               [](const planned_migration& each) { return each.state == migration_state::pending; });
  return result;
}

std::string names_of(const plan& all) {
  std::string result;
  for (const auto& each : all)
    result += each.name() + "\n";
  return result;
}

// Shows the plan. A plan that would be refused ends as the command without this option would end.
int show(const plan& all, const migrate_command_options& options, const std::string& db) {
  auto error = refusal_of(all);
  auto shown = options.status ? all : pending_of(all);
  if (!options.json) {
    if (!error && shown.empty())
      note("nothing to apply");
    auto status = finish(options.status ? as_text(shown) : error ? "" : names_of(shown));
    return error ? fail(error, false) : status;
  }
  json document{{"db", db}, {"migrations", json::array()}};
  for (const auto& each : shown)
    document["migrations"].push_back(planned_json(each));
  if (error) {
    document["error"] = as_json(describe(error));
    fail(error, false);
  }
  auto status = finish_json(document);
  return error ? failed : status;
}

json migrated_json(const migrated& result, const std::string& db) {
  json steps = json::array();
  for (const auto& each : result.steps)
    steps.push_back({{"number", each.number},
                     {"name", each.name},
                     {"commit_seq", each.commit_seq},
                     {"applied_by_another", each.by_another}});
  return {{"db", db}, {"applied", std::move(steps)}, {"applied_before", result.before}};
}

std::string as_text(const migrated& result) {
  std::string text;
  for (const auto& each : result.steps)
    text += fmt::format("{}: {}, commit {}\n", printable(each.name),
                        each.by_another ? "applied by another process" : "applied", each.commit_seq);
  return text + fmt::format("{} applied, {} before\n", counted(result.steps.size(), "migration"), result.before);
}

void show_progress(const migration_file& file, const write_result* done) {
  if (!done)
    note(fmt::format("applying {}", printable(file.name)));
}

int run(const migrate_command_options& options) {
  auto place = locate(options.db);
  if (!place)
    return usage_error(describe(place.error()).message, options.json);
  auto only_shows = options.dry_run || options.status;
  if (only_shows && is_missing(options.db)) {
    auto files = read_migration_folder(options.folder);
    return files ? show(plan_migrations(std::move(*files), {}), options, place->name)
                 : fail(files.error(), options.json);
  }
  auto store = open_store(options, place->root);
  if (!store)
    return fail(store.error(), options.json);
  client_migrations target{**store, place->name};
  migrate_options how{agent_name(options.agent), std::chrono::milliseconds{options.deadline_ms}, {}};
  if (only_shows) {
    auto all = plan_migrations(target, options.folder, how);
    return all ? show(*all, options, place->name) : fail(all.error(), options.json);
  }
  if (isatty(STDERR_FILENO))
    how.progress = show_progress;
  auto result = migrate(target, options.folder, how);
  if (result)
    return options.json ? finish_json(migrated_json(*result, place->name)) : finish(as_text(*result));
  auto reason = describe(result.error());
  auto status = fail(reason, options.json);
  if (reason.outcome == outcome::unknown)
    note("the migration may have been applied: run the same command again, which goes on behind it");
  return status;
}

} // namespace

void declare_migrate(CLI::App& command, action& chosen) {
  auto options = std::make_shared<migrate_command_options>();
  command.add_option("DB", options->db, "Database file; its folder is the store")->required();
  command.add_option("FOLDER", options->folder, "Folder of the migrations: NUMBER_NAME.sql")->required();
  auto* dry_run = command.add_flag("--dry-run", options->dry_run,
                                   "List the migrations that would be applied, and check their files; execute nothing");
  command.add_flag("--status", options->status, "List all migrations, applied and pending")->excludes(dry_run);
  command
    .add_option("--deadline", options->deadline_ms, "Milliseconds within which each migration must be done [30000]")
    ->type_name("MS")
    ->check(CLI::Range(int64_t{1}, int64_t{86'400'000}));
  declare_way(command, *options);
  command.footer("Exit status: 0 all migrations are applied (with --dry-run and --status: they can be); 1 one was "
                 "refused or failed, and those before it stay applied; 2 wrong usage.");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
