#include "runtime/migrations/migration_plan.hpp"

#include "messages/error.hpp"
#include "runtime/os/sql_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace sluice {

namespace {

constexpr std::array<std::string_view, 5> state_names{"applied", "pending", "changed", "missing", "skipped"};

caf::error conflict(const planned_migration& with, std::string_view why) {
  return make_error(errc::conflict, fmt::format("{}: migration {} {}", with.name(), with.number, why));
}

} // namespace

std::string_view to_string(migration_state state) noexcept { return state_names[static_cast<size_t>(state)]; }

caf::expected<std::vector<migration_file>> read_migration_folder(const std::filesystem::path& folder) {
  auto files = read_sql_folder(folder, max_migration_bytes, errc::too_large);
  if (!files)
    return std::move(files.error());
  if (!*files)
    return make_error(errc::invalid_request, "there is no folder of migrations at this path");
  std::vector<migration_file> result;
  for (auto& each : **files) {
    auto number = migration_number(each.name);
    if (!number)
      return make_error(
        errc::invalid_request,
        fmt::format("{} is no file of a migration; name it as 0001_add_notes.sql, with a number from 1 to {} (14 "
                    "digits, as of 20261130120000), or move it to another folder",
                    each.shown, max_migration_number));
    result.push_back({*number, std::move(each.name), std::move(each.text)});
  }
  auto is_lower = [](const migration_file& a, const migration_file& b) { return a.number < b.number; };
  std::stable_sort(result.begin(), result.end(), is_lower);
  auto is_same = [](const migration_file& a, const migration_file& b) { return a.number == b.number; };
  if (auto twice = std::adjacent_find(result.begin(), result.end(), is_same); twice != result.end())
    return make_error(errc::invalid_request, fmt::format("{} and {} have the same number {}; give one of them another",
                                                         twice->name, std::next(twice)->name, twice->number));
  return result;
}

std::vector<planned_migration> plan_migrations(std::vector<migration_file> files, std::vector<applied_migration> rows) {
  std::map<uint64_t, planned_migration> all;
  uint64_t last = 0;
  for (auto& row : rows) {
    last = std::max(last, row.number);
    auto& entry = all[row.number];
    entry.number = row.number;
    entry.state = migration_state::missing;
    entry.row = std::move(row);
  }
  for (auto& file : files) {
    auto& entry = all[file.number];
    entry.number = file.number;
    entry.file_hash = migration_hash(file.text);
    if (entry.row.number != 0)
      entry.state = entry.row.hash == entry.file_hash ? migration_state::applied : migration_state::changed;
    else
      entry.state = file.number < last ? migration_state::skipped : migration_state::pending;
    entry.file = std::move(file);
  }
  std::vector<planned_migration> result;
  for (auto& [number, entry] : all)
    result.push_back(std::move(entry));
  return result;
}

caf::error refusal_of(const std::vector<planned_migration>& plan) {
  for (const auto& each : plan) {
    if (each.state == migration_state::changed)
      return conflict(each, fmt::format("was applied with another content (SHA-256 {}, now {}); restore that content, "
                                        "and put the change into a new migration",
                                        each.row.hash, each.file_hash));
    if (each.state == migration_state::missing)
      return conflict(each, "was applied, and its file is not in the folder any more; restore it");
    if (each.state == migration_state::skipped)
      return conflict(each, fmt::format("was not applied, but migration {} was; give it a higher number",
                                        std::find_if(plan.rbegin(), plan.rend(), [](const planned_migration& other) {
                                          return other.row.number != 0;
                                        })->number));
  }
  for (const auto& each : plan)
    if (write_request request; each.state == migration_state::pending)
      if (auto error = prepare_migration(each.file.name, each.file.text, request))
        return error;
  return {};
}

} // namespace sluice
