#include "runtime/lab/scenario/scenario.hpp"

#include "runtime/json/json_text.hpp"
#include "runtime/lab/scenario/parse_step.hpp"
#include "runtime/lab/scenario/suggestions.hpp"
#include "runtime/store/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <span>

namespace sluice::scenario {

namespace {

constexpr std::array<std::string_view, 6> members{"name", "about", "databases", "settings", "agents", "steps"};
constexpr uint64_t max_width = 512;

std::vector<setup_statement> read_statements(const node& node, const std::string& db) {
  if (node.is(node_kind::null))
    return {};
  if (node.is(node_kind::text))
    return {{node.text, node.at}};
  if (!node.is(node_kind::list))
    throw mistake{node.at, fmt::format("{} must be a list of SQL statements, and is {}", db, to_string(node.kind))};
  std::vector<setup_statement> result;
  for (const auto& item : node.items) {
    if (!item.is(node_kind::text))
      throw mistake{item.at, fmt::format("a statement for {} must be a text, and is {}", db, to_string(item.kind))};
    result.push_back({item.text, item.at});
  }
  return result;
}

void check_database_name(const std::string& name, place at) {
  std::filesystem::path path{name};
  auto leads_out = std::find(path.begin(), path.end(), "..") != path.end() || path.is_absolute();
  auto is_ours = std::find(path.begin(), path.end(), ".sluice") != path.end();
  if (name.empty() || leads_out || is_ours || !path.has_filename())
    throw mistake{at, fmt::format("\"{}\" is no name of a database; it must be a file in the store's folder", name)};
}

void read_databases(const node& node, setup& to) {
  if (!node.is(node_kind::map))
    throw mistake{node.at,
                  fmt::format("databases must be a map of files and SQL, as in {{app.db: [\"CREATE TABLE ...\"]}}, "
                              "and is {}",
                              to_string(node.kind))};
  for (const auto& member : node.members) {
    check_database_name(member.name, member.at);
    to.databases.emplace_back(member.name, read_statements(member.content, member.name));
  }
}

// A value in the form of sluice.toml.
std::string toml_value(const node& node, std::string_view key) {
  switch (node.kind) {
  case node_kind::boolean:
  case node_kind::integer:
  case node_kind::real:
  case node_kind::text: return dump(to_json(node));
  default: throw mistake{node.at, fmt::format("{} must be a word or a number, and is {}", key, to_string(node.kind))};
  }
}

// The text of sluice.toml, and the position in the scenario of each of its lines.
struct settings_text {
  std::string toml;
  std::vector<place> lines;

  void add(std::string_view line, place at) {
    toml += fmt::format("{}\n", line);
    lines.push_back(at);
  }

  void add(const node::member& member) {
    add(fmt::format("{} = {}", member.name, toml_value(member.content, member.name)), member.content.at);
  }
};

// Keys of sluice.toml that begin a new table each time.
constexpr std::array<std::string_view, 2> lists_of_tables{"buffer_table", "database"};

void read_tables(const node& node, std::string_view name, std::span<const std::string_view> keys, settings_text& to) {
  if (!node.is(node_kind::list))
    throw mistake{node.at, fmt::format("{} must be a list of maps, and is {}", name, to_string(node.kind))};
  for (const auto& item : node.items) {
    if (!item.is(node_kind::map))
      throw mistake{item.at, fmt::format("each {} must be a map, and is {}", name, to_string(item.kind))};
    check_members(item, keys, name);
    to.add(fmt::format("[[{}]]", name), item.at);
    for (const auto& member : item.members)
      to.add(member);
  }
}

void read_settings(const node& node, setup& to) {
  if (!node.is(node_kind::map))
    throw mistake{node.at,
                  fmt::format("settings must be a map of keys of sluice.toml, and is {}", to_string(node.kind))};
  auto known = describe_settings();
  std::vector<std::string_view> names{lists_of_tables.begin(), lists_of_tables.end()};
  std::vector<std::string_view> of_database{"db"};
  for (const auto& setting : known) {
    names.push_back(setting.key);
    if (setting.per_database)
      of_database.push_back(setting.key);
  }
  check_members(node, names, "settings");
  to.settings_at = node.at;
  settings_text text;
  // Busy machines are slow, and a fault that is meant for a step could hit the idle work of the broker.
  for (auto calm : {"lock_wait_ms", "idle_after_ms"})
    if (!node.find(calm))
      text.add(fmt::format("{} = 60000", calm), node.at);
  for (const auto& member : node.members)
    if (std::find(lists_of_tables.begin(), lists_of_tables.end(), member.name) == lists_of_tables.end())
      text.add(member);
  // In TOML, keys after a table belong to it.
  if (const auto* tables = node.find("buffer_table"))
    read_tables(*tables, "buffer_table", std::array<std::string_view, 4>{"db", "table", "interval_ms", "priority"},
                text);
  if (const auto* tables = node.find("database"))
    read_tables(*tables, "database", of_database, text);
  if (auto wrong = check_config(text.toml))
    throw mistake{wrong->line > 0 && wrong->line <= text.lines.size() ? text.lines[wrong->line - 1] : node.at,
                  wrong->reason};
  to.settings = std::move(text.toml);
}

void add_agent(const std::string& name, bool add_keys, place at, setup& to) {
  auto same = [&](const agent_options& known) { return known.name == name; };
  if (std::any_of(to.agents.begin(), to.agents.end(), same))
    throw mistake{at, fmt::format("the agent {} is declared twice", name)};
  if (name.empty() || name.size() > 256)
    throw mistake{at, "the name of an agent has 1 to 256 bytes"};
  to.agents.push_back({name, add_keys});
}

void read_agents(const node& node, setup& to) {
  if (node.is(node_kind::list)) {
    for (const auto& item : node.items) {
      if (!item.is(node_kind::text))
        throw mistake{item.at, fmt::format("the name of an agent must be a text, and is {}", to_string(item.kind))};
      add_agent(item.text, true, item.at, to);
    }
    return;
  }
  if (!node.is(node_kind::map))
    throw mistake{node.at, fmt::format("agents must be a list of names, or a map, and is {}", to_string(node.kind))};
  for (const auto& member : node.members) {
    auto whose = "the agent " + member.name;
    check_members(member.content, std::array<std::string_view, 1>{"add_keys"}, whose);
    auto adds =
      !member.content.find("add_keys") || require(member.content, "add_keys", node_kind::boolean, whose).boolean;
    add_agent(member.name, adds, member.at, to);
  }
}

definition read(const node& item) {
  if (!item.is(node_kind::map))
    throw mistake{item.at,
                  fmt::format("a scenario must be a map with name and steps, and is {}", to_string(item.kind))};
  check_members(item, members, "a scenario");
  definition result;
  result.name = require(item, "name", node_kind::text, "a scenario").text;
  if (result.name.empty() || result.name.find('\n') != std::string::npos)
    throw mistake{item.find("name")->at, "the name of a scenario must be one line"};
  if (item.find("about"))
    result.about = require(item, "about", node_kind::text, "a scenario").text;
  if (const auto* databases = item.find("databases"))
    read_databases(*databases, result.backend);
  const auto* settings = item.find("settings");
  read_settings(settings ? *settings : node{node_kind::map, {}, false, 0, 0, {}, {}, {}}, result.backend);
  if (const auto* agents = item.find("agents"))
    read_agents(*agents, result.backend);
  const auto& steps = require(item, "steps", node_kind::list, "a scenario");
  if (steps.items.empty())
    throw mistake{steps.at, "a scenario without steps shows nothing"};
  std::set<std::string> agents;
  for (const auto& agent : result.backend.agents)
    agents.insert(agent.name);
  result.steps = step_parser{std::move(agents)}.parse_list(steps);
  if (auto width = step_parser::width_of(result.steps); width > max_width)
    throw mistake{steps.at, fmt::format("{} requests would be under way at once; at most {} may be", width, max_width)};
  return result;
}

} // namespace

std::variant<definition, wrong_file> parse_scenario(const std::string& text) {
  try {
    return read(read_yaml(text));
  } catch (const mistake& error) {
    return wrong_file{error.where(), error.what()};
  }
}

std::variant<definition, wrong_file> read_scenario(const std::filesystem::path& file) {
  std::error_code failed;
  auto kind = std::filesystem::status(file, failed).type();
  if (kind == std::filesystem::file_type::not_found)
    return wrong_file{{}, "there is no such file"};
  if (kind == std::filesystem::file_type::directory)
    return wrong_file{{}, "this is a folder; name the files in it"};
  std::ifstream in{file, std::ios::binary};
  // One byte more than allowed shows that a file is too large, however long it is.
  constexpr size_t enough = (size_t{1} << 20) + 1;
  std::string text(enough, '\0');
  in.read(text.data(), static_cast<std::streamsize>(enough));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
  if (in.bad() || (!in.is_open()))
    return wrong_file{{}, "the file cannot be read"};
  return parse_scenario(text);
}

} // namespace sluice::scenario
