#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"
#include "runtime/store/config.hpp"
#include "runtime/store/settings.hpp"

#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>

namespace sluice {

namespace {

caf::error unusable(std::string message) { return make_error(errc::invalid_request, std::move(message)); }

caf::error check_setting(const setting& s, const broker_config& config, const std::string& where) {
  if (is_in_range(s, config))
    return {};
  return unusable(
    fmt::format("{}{} = {} cannot be used; it must be {}", where, s.key, text_of(s, config), range_of(s)));
}

caf::error check_root(const std::filesystem::path& root) {
  if (root.empty())
    return unusable("root is empty; it must name the folder of the store (\".\" is the working directory)");
  if (root.native().find('\0') != std::string::npos)
    return unusable("root holds a NUL character");
  return {};
}

// The settings of a database are looked up by its name, so another spelling would be ignored.
caf::error check_name(const char* where, const std::string& db, bool as_spelled) {
  auto name = spelled_as_setting(db);
  if (name && (!as_spelled || *name == db))
    return {};
  return unusable(fmt::format("{}: db '{}' cannot be used; it must be {}", where, escape_invalid_utf8(db),
                              name ? "'" + escape_invalid_utf8(*name) + "'" : "a file relative to the store root"));
}

caf::error check_databases(const broker_config& config) {
  for (const auto& [db, own] : config.databases) {
    if (auto reason = check_name("databases", db, true))
      return reason;
    auto as_general = config.for_database(db);
    for (const auto& s : all_settings())
      if (s.per_database)
        if (auto reason = check_setting(s, as_general, fmt::format("databases: {}: ", db)))
          return reason;
  }
  return {};
}

caf::error check_buffer_tables(const broker_config& config) {
  std::set<std::pair<std::string, std::string>> known;
  for (const auto& [db, table, interval, priority] : config.buffer_tables) {
    if (auto reason = check_name("buffer_tables", db, false))
      return reason;
    if (table.empty())
      return unusable(fmt::format("buffer_tables: a table of {} has no name", db));
    if (interval.count() < 1 || interval.count() > longest_table_interval_ms)
      return unusable(fmt::format("buffer_tables: {} of {}: interval_ms = {} cannot be used; it must be a whole number "
                                  "from 1 to {}",
                                  table, db, interval.count(), longest_table_interval_ms));
    if (priority < -highest_table_priority || priority > highest_table_priority)
      return unusable(
        fmt::format("buffer_tables: {} of {}: priority = {} cannot be used; it must be a whole number from "
                    "{} to {}",
                    table, db, priority, -highest_table_priority, highest_table_priority));
    if (!known.emplace(*spelled_as_setting(db), folded_name(table)).second)
      return unusable(fmt::format("buffer_tables: {} of {} is there already", table, db));
  }
  return {};
}

caf::error check_settings(const broker_config& config, bool locked) {
  for (const auto& s : all_settings()) {
    if (locked && s.key == "lock_wait_ms")
      continue;
    if (auto reason = check_setting(s, config, {}))
      return reason;
  }
  if (!config.policy)
    return unusable("policy is null; it must be a policy, possibly one that allows everything");
  if (auto reason = check_databases(config))
    return reason;
  return check_buffer_tables(config);
}

} // namespace

caf::error check(const broker_config& config) {
  auto reason = check_root(config.root);
  return reason ? reason : check_settings(config, false);
}

caf::error check_for_locked(const broker_config& config) { return check_settings(config, true); }

} // namespace sluice
