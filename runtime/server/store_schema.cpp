#include "runtime/server/store_schema.hpp"

#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"
#include "runtime/sqlite/core/schema_inspection.hpp"
#include "runtime/sqlite/files/file_header.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

namespace sluice {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Folders with many other files must not keep the thread busy.
constexpr size_t max_entries = 100'000;

struct found_databases {
  std::vector<std::string> names;
  bool is_cut = false;
};

bool is_other_store(const fs::directory_entry& folder) {
  std::error_code ignored;
  return folder.path().filename() == ".sluice" || fs::exists(folder.path() / ".sluice", ignored);
}

found_databases find_databases(const store_root& root) {
  found_databases result;
  size_t entries = 0;
  std::error_code failed;
  fs::recursive_directory_iterator at{root.path(), fs::directory_options::skip_permission_denied, failed};
  for (; !failed && at != fs::recursive_directory_iterator{}; at.increment(failed)) {
    result.is_cut = ++entries > max_entries || result.names.size() > max_described_databases;
    if (result.is_cut)
      break;
    std::error_code ignored;
    if (at->is_symlink(ignored))
      continue;
    if (at->is_directory(ignored) && is_other_store(*at))
      at.disable_recursion_pending();
    // An empty file may be anything. Names are looked at first: to open the index of a write-ahead log, and to close
    // it, would drop the locks that SQLite has on it.
    auto name = at->path().lexically_relative(root.path()).native();
    if (at->is_regular_file(ignored) && at->file_size(ignored) > 0 && root.resolve(name)
        && sqlite::looks_like_database(at->path()))
      result.names.push_back(std::move(name));
  }
  std::sort(result.names.begin(), result.names.end());
  result.names.resize(std::min(result.names.size(), max_described_databases));
  return result;
}

json column_json(const sqlite::described_column& column) {
  json result{{"name", escape_invalid_utf8(column.name)}, {"type", escape_invalid_utf8(column.type)}};
  if (!column.is_nullable)
    result["not_null"] = true;
  if (column.key_place > 0)
    result["primary_key"] = column.key_place;
  if (column.default_value)
    result["default"] = escape_invalid_utf8(*column.default_value);
  if (column.is_generated)
    result["generated"] = true;
  return result;
}

caf::expected<json> describe_database(const store_root& root, const std::string& name) {
  auto resolved = root.resolve(name);
  if (!resolved)
    return std::move(resolved.error());
  auto tables = sqlite::describe_tables(root.path_of(*resolved), max_described_tables + 1);
  if (!tables)
    return std::move(tables.error());
  json result{{"db", escape_invalid_utf8(*resolved)}, {"tables", json::array()}};
  if (tables->size() > max_described_tables) {
    tables->pop_back();
    result["truncated"] = true;
  }
  for (const auto& table : *tables) {
    auto columns = json::array();
    for (const auto& column : table.columns)
      columns.push_back(column_json(column));
    result["tables"].push_back(
      {{"name", escape_invalid_utf8(table.name)}, {"kind", table.kind}, {"columns", std::move(columns)}});
  }
  return result;
}

} // namespace

caf::expected<json> describe_store(const store_root& root, const std::string& db) {
  json result{{"databases", json::array()}, {"truncated", false}};
  if (!db.empty()) {
    auto described = describe_database(root, db);
    if (!described)
      return described;
    result["truncated"] = described->value("truncated", false);
    result["databases"].push_back(std::move(*described));
    return result;
  }
  auto found = find_databases(root);
  result["truncated"] = found.is_cut;
  for (const auto& name : found.names) {
    auto described = describe_database(root, name);
    if (!described)
      described = json{{"db", escape_invalid_utf8(name)}, {"error", describe(described.error()).message}};
    if (described->contains("truncated"))
      result["truncated"] = true;
    result["databases"].push_back(std::move(*described));
  }
  return result;
}

} // namespace sluice
