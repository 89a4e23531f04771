#include "runtime/store/config.hpp"

#include "runtime/store/buffer_tables.hpp"
#include "runtime/store/policy_tables.hpp"
#include "runtime/store/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

namespace sluice {

namespace {

// One `[[database]]`: the settings that it contains.
struct database_entry {
  std::string db;
  broker_config values;
  std::vector<const setting*> set;
};

// The tables of the file for single databases. They are completed when all other settings are known.
struct file_entries {
  std::vector<buffer_table_entry> buffer_tables;
  std::vector<database_entry> databases;
  policy_entries policy;
};

caf::error unusable_file(std::string message) { return make_error(errc::invalid_request, std::move(message)); }

std::string unknown_key(std::string_view key) {
  std::string known;
  for (const auto& s : all_settings())
    known += std::string{s.key} + ", ";
  return fmt::format("there is no setting '{}'; there are {}buffer_table, database, policy, agent", key, known);
}

std::string no_setting_of_a_database(std::string_view key) {
  std::string known = "db";
  for (const auto& s : all_settings())
    if (s.per_database)
      known += ", " + std::string{s.key};
  return fmt::format("a database has no '{}' of its own; there are {}", key, known);
}

std::optional<raw_value> read_node(const toml::node& node) {
  if (auto* boolean = node.as_boolean())
    return raw_value{boolean->get()};
  if (auto* integer = node.as_integer())
    return raw_value{integer->get()};
  if (auto* real = node.as_floating_point())
    return raw_value{real->get()};
  if (auto* text = node.as_string())
    return raw_value{std::string_view{text->get()}};
  return std::nullopt;
}

std::optional<config_mistake> apply_value(broker_config& to, const setting& s, const toml::node& node) {
  auto raw = read_node(node);
  if (raw && assign(to, s, *raw))
    return std::nullopt;
  return config_mistake{node.source().begin.line, 0,
                        fmt::format("{} = {} cannot be used; it must be {}", s.key, as_written(node), range_of(s))};
}

std::optional<config_mistake> apply_entry(broker_config& to, std::string_view key, const toml::node& node) {
  if (const auto* s = find_setting(key))
    return apply_value(to, *s, node);
  return config_mistake{node.source().begin.line, 0, unknown_key(key)};
}

std::optional<config_mistake> read_database(const toml::node& node, std::vector<database_entry>& to) {
  auto line = node.source().begin.line;
  database_entry entry;
  for (auto&& [key, member] : *node.as_table()) {
    const auto* s = find_setting(key.str());
    std::optional<config_mistake> mistake;
    if (key.str() == "db")
      mistake = read_database_name("database", member, entry.db);
    else if (!s || !s->per_database)
      mistake = config_mistake{member.source().begin.line, 0, no_setting_of_a_database(key.str())};
    else
      mistake = apply_value(entry.values, *s, member);
    if (mistake)
      return mistake;
    if (s)
      entry.set.push_back(s);
  }
  if (entry.db.empty())
    return config_mistake{line, 0, "this [[database]] lacks db, the file that it is for"};
  if (std::any_of(to.begin(), to.end(), [&](const database_entry& x) { return x.db == entry.db; }))
    return config_mistake{line, 0, fmt::format("database {} is there already", entry.db)};
  to.push_back(std::move(entry));
  return std::nullopt;
}

std::optional<config_mistake> read_databases(const toml::node& node, std::vector<database_entry>& to) {
  auto* tables = node.as_array();
  if (!tables || !tables->is_homogeneous(toml::node_type::table))
    return config_mistake{node.source().begin.line, 0,
                          "database must be written as [[database]], once for each database"};
  for (const auto& table : *tables)
    if (auto mistake = read_database(table, to))
      return mistake;
  return std::nullopt;
}

std::optional<config_mistake> apply_text(broker_config& to, file_entries& entries, std::string_view text) {
  auto parsed = toml::parse(text);
  if (!parsed) {
    const auto& error = parsed.error();
    return config_mistake{error.source().begin.line, error.source().begin.column, std::string{error.description()}};
  }
  for (auto&& [key, node] : parsed.table())
    if (auto mistake = key.str() == "buffer_table" ? read_buffer_tables(node, entries.buffer_tables)
                       : key.str() == "database"   ? read_databases(node, entries.databases)
                       : key.str() == "policy"     ? read_policy(node, entries.policy)
                       : key.str() == "agent"      ? read_agents(node, entries.policy)
                                                   : apply_entry(to, key.str(), node))
      return mistake;
  return check_whole(entries.policy);
}

// The rules have been checked one by one, with their lines.
caf::expected<std::shared_ptr<const access_policy>> policy_of(policy_entries entries) {
  if (!entries.has_policy)
    return std::make_shared<const access_policy>();
  auto made = access_policy::make(std::move(entries.rules));
  if (!made)
    return std::move(made.error());
  return std::make_shared<const access_policy>(std::move(*made));
}

std::optional<caf::error> apply_file(broker_config& to, file_entries& entries, const std::filesystem::path& path) {
  std::error_code failed;
  auto kind = std::filesystem::status(path, failed).type();
  if (kind == std::filesystem::file_type::not_found)
    return std::nullopt;
  if (failed == std::errc::permission_denied)
    return make_error(errc::not_authorized, "sluice.toml cannot be looked up: this user may not enter the store root");
  if (kind != std::filesystem::file_type::regular)
    return unusable_file("sluice.toml is not a file that can be read");
  // The file is read here, so that messages contain no path and no text of the library.
  std::ifstream in{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in)
    return make_error(errc::io_error, "sluice.toml cannot be read");
  auto wrong = apply_text(to, entries, text);
  if (!wrong)
    return std::nullopt;
  auto column = wrong->column > 0 ? fmt::format(", column {}", wrong->column) : "";
  return unusable_file(fmt::format("sluice.toml, line {}{}: {}", wrong->line, column, wrong->reason));
}

std::optional<caf::error> apply_environment(broker_config& to) {
  for (const auto& s : all_settings()) {
    auto name = environment_name(s);
    const auto* text = std::getenv(name.c_str());
    // An empty value counts as unset: scripts unset variables in this way.
    if (!text || !*text)
      continue;
    if (!assign(to, s, read_text(s, text)))
      return unusable_file(fmt::format("{}={} cannot be used; it must be {}", name, text, range_of(s)));
  }
  return std::nullopt;
}

} // namespace

broker_config broker_config::for_database(const std::string& db) const {
  auto result = *this;
  static_cast<database_config&>(result) = of(db);
  return result;
}

caf::expected<broker_config> load_config(const std::filesystem::path& root) {
  broker_config result;
  result.root = root;
  file_entries entries;
  if (auto reason = apply_file(result, entries, root / "sluice.toml"))
    return std::move(*reason);
  if (auto reason = apply_environment(result))
    return std::move(*reason);
  for (auto& entry : entries.buffer_tables) {
    entry.table.interval = entry.interval.value_or(result.buffer_interval);
    result.buffer_tables.push_back(std::move(entry.table));
  }
  for (const auto& entry : entries.databases) {
    auto settings = result;
    for (const auto* s : entry.set)
      copy_setting(settings, *s, entry.values);
    result.databases.emplace(entry.db, settings);
  }
  auto policy = policy_of(std::move(entries.policy));
  if (!policy)
    return std::move(policy.error());
  result.policy = std::move(*policy);
  return result;
}

caf::expected<std::shared_ptr<const access_policy>> load_policy(const std::filesystem::path& root) {
  broker_config unused;
  file_entries entries;
  if (auto reason = apply_file(unused, entries, root / "sluice.toml"))
    return std::move(*reason);
  return policy_of(std::move(entries.policy));
}

std::optional<config_mistake> check_config(std::string_view text) {
  broker_config unused;
  file_entries entries;
  return apply_text(unused, entries, text);
}

std::vector<setting_info> describe_settings() {
  const broker_config defaults;
  std::vector<setting_info> result;
  for (const auto& s : all_settings())
    result.push_back({std::string{s.key}, environment_name(s), text_of(s, defaults), range_of(s),
                      std::string{s.description}, s.per_database});
  return result;
}

} // namespace sluice
