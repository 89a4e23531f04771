#include "runtime/store/buffer_tables.hpp"

#include "actors/base/case_folding.hpp"
#include "runtime/store/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string_view>

namespace sluice {

namespace {

config_mistake invalid(const toml::node& at, std::string reason) {
  return {at.source().begin.line, 0, std::move(reason)};
}

config_mistake unusable(std::string_view key, const toml::node& node, const std::string& range,
                        std::string_view table = "buffer_table") {
  return invalid(node, fmt::format("{}: {} = {} cannot be used; it must be {}", table, key, as_written(node), range));
}

std::optional<config_mistake> take_number(std::string_view key, const toml::node& node, int64_t min, int64_t max,
                                          int64_t& to) {
  auto* number = node.as_integer();
  if (!number || number->get() < min || number->get() > max)
    return unusable(key, node, fmt::format("a whole number from {} to {}", min, max));
  to = number->get();
  return std::nullopt;
}

std::optional<config_mistake> take_text(std::string_view key, const toml::node& node, std::string& to) {
  auto* text = node.as_string();
  if (!text || text->get().empty())
    return unusable(key, node, "a text that is not empty");
  to = text->get();
  return std::nullopt;
}

std::optional<config_mistake> take_entry(std::string_view key, const toml::node& node, buffer_table_entry& to) {
  if (key == "db")
    return read_database_name("buffer_table", node, to.table.db);
  if (key == "table")
    return take_text(key, node, to.table.table);
  if (key == "priority")
    return take_number(key, node, -highest_table_priority, highest_table_priority, to.table.priority);
  if (key != "interval_ms")
    return invalid(node, fmt::format("a buffer_table has no '{}'; there are db, table, interval_ms, priority", key));
  int64_t ms = 0;
  auto reason = take_number(key, node, 1, longest_table_interval_ms, ms);
  to.interval = std::chrono::milliseconds{ms};
  return reason;
}

std::optional<config_mistake> take_table(const toml::node& node, std::vector<buffer_table_entry>& to) {
  buffer_table_entry entry;
  for (auto&& [key, member] : *node.as_table())
    if (auto reason = take_entry(key.str(), member, entry))
      return reason;
  for (const auto& [key, text] : {std::pair{"db", &entry.table.db}, std::pair{"table", &entry.table.table}})
    if (text->empty())
      return invalid(node, fmt::format("this [[buffer_table]] lacks {}", key));
  auto same = [&](const buffer_table_entry& known) {
    return known.table.db == entry.table.db && same_name(known.table.table, entry.table.table);
  };
  if (std::any_of(to.begin(), to.end(), same))
    return invalid(node, fmt::format("buffer_table {} of {} is there already", entry.table.table, entry.table.db));
  to.push_back(std::move(entry));
  return std::nullopt;
}

} // namespace

std::string as_written(const toml::node& node) {
  auto text = node.visit([](const auto& content) {
    std::ostringstream out;
    out << content;
    return out.str();
  });
  return text.size() > 80 ? fmt::format("{:.80}...", text) : text;
}

// Does not access the store's root, so it only normalizes spellings; the broker resolves links.
std::optional<config_mistake> read_database_name(std::string_view table, const toml::node& node, std::string& to) {
  auto* text = node.as_string();
  if (!text || text->get().empty())
    return unusable("db", node, "a text that is not empty", table);
  auto name = normalized_database_name(text->get());
  if (!name)
    return unusable("db", node, "a file relative to the store root", table);
  to = std::move(*name);
  return std::nullopt;
}

std::optional<config_mistake> read_buffer_tables(const toml::node& node, std::vector<buffer_table_entry>& to) {
  auto* tables = node.as_array();
  if (!tables || !tables->is_homogeneous(toml::node_type::table))
    return invalid(node, "buffer_table must be written as [[buffer_table]], once for each table");
  for (const auto& table : *tables)
    if (auto reason = take_table(table, to))
      return reason;
  return std::nullopt;
}

} // namespace sluice
