#include "runtime/cli/buffer_row.hpp"

#include "actors/base/counted.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/rowset_text.hpp"
#include "runtime/json/json.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

struct row_options : request_options {
  std::string table;
  std::vector<std::string> key;
  std::vector<std::string> values;
  bool update = false;
  bool erase = false;
  int64_t wait_ms = 0;
};

caf::expected<std::vector<named_value>> read_columns(const char* option, const std::vector<std::string>& texts) {
  std::vector<named_value> result;
  for (const auto& text : texts) {
    auto end = text.find('=');
    if (end == std::string::npos || end == 0)
      return make_error(errc::invalid_request, fmt::format("{} {}: must be COLUMN=VALUE", option, text));
    auto content = read_value(std::string_view{text}.substr(end + 1));
    if (!content)
      return make_error(errc::invalid_request,
                        fmt::format("{} {}: {}", option, text, describe(content.error()).message));
    result.push_back({text.substr(0, end), std::move(*content)});
  }
  return result;
}

caf::expected<row_key> read_key(const row_options& options, const std::string& db) {
  auto columns = read_columns("-k", options.key);
  if (!columns)
    return std::move(columns.error());
  return row_key{db, options.table, std::move(*columns)};
}

caf::expected<buffer_put> as_put(const row_options& options, const std::string& db) {
  auto row = read_key(options, db);
  if (!row)
    return std::move(row.error());
  auto values = read_columns("-v", options.values);
  if (!values)
    return std::move(values.error());
  buffer_put operation;
  operation.row = std::move(*row);
  operation.operation = options.erase    ? buffer_operation::erase
                        : options.update ? buffer_operation::update
                                         : buffer_operation::upsert;
  operation.values = std::move(*values);
  operation.agent = agent_name(options.agent);
  operation.wait = std::chrono::milliseconds{options.wait_ms};
  return operation;
}

int show_receipt(const nlohmann::json& receipt) {
  auto pending = receipt.at("pending").get<uint64_t>();
  return finish(fmt::format("taken, {} pending{}\n", counted(pending, "row"),
                            receipt.at("journaled").get<bool>() ? ", in the journal" : ""));
}

int show_row(const nlohmann::json& row) {
  if (!row.at("found").get<bool>())
    return finish("no such row\n");
  rowset::column_names names;
  std::vector<value> cells;
  for (const auto& [name, cell] : row.at("row").items()) {
    auto content = value_from_json(cell, name);
    if (!content)
      return fail(content.error(), false);
    names.push_back(name);
    cells.push_back(std::move(*content));
  }
  rowset rows{std::make_shared<const rowset::column_names>(std::move(names))};
  for (auto& cell : cells)
    rows.append(std::move(cell));
  return finish(as_table(rows));
}

int ask(const row_options& options, const database_place& place, const char* method, nlohmann::json params,
        int (*show)(const nlohmann::json&)) {
  auto store = open_store(options, place.root);
  if (!store)
    return fail(store.error(), options.json);
  auto answer = (*store)->call(method, std::move(params));
  if (!answer)
    return fail(answer.error(), options.json);
  return options.json ? finish_json(*answer) : show(*answer);
}

int put(const row_options& options) {
  auto place = locate(options.db);
  if (!place)
    return usage_error(describe(place.error()).message, options.json);
  auto operation = as_put(options, place->name);
  if (!operation)
    return usage_error(describe(operation.error()).message, options.json);
  return ask(options, *place, "buffer.put", rpc::params_of(*operation), show_receipt);
}

int get(const row_options& options) {
  auto place = locate(options.db);
  if (!place)
    return usage_error(describe(place.error()).message, options.json);
  auto row = read_key(options, place->name);
  if (!row)
    return usage_error(describe(row.error()).message, options.json);
  return ask(options, *place, "buffer.get", rpc::params_of(buffer_get{std::move(*row), agent_name(options.agent), {}}),
             show_row);
}

CLI::App& add(CLI::App& buffer, const char* name, const char* description, const std::shared_ptr<row_options>& options,
              int (*run_command)(const row_options&), action& chosen) {
  auto& command = *buffer.add_subcommand(name, description);
  command.add_option("DB", options->db, "Database file; the folder it lies in is the store")->required();
  command.add_option("TABLE", options->table, "The row's table")->required();
  declare_values(command, "-k,--key", options->key, "A column of the row's key; the value as for -p of exec")
    ->type_name("COLUMN=VALUE")
    ->required();
  declare_way(command, *options);
  command.final_callback(
    [options, run_command, &chosen] { chosen = [options, run_command] { return run_command(*options); }; });
  return command;
}

} // namespace

void declare_buffer_row(CLI::App& buffer, action& chosen) {
  auto to_put = std::make_shared<row_options>();
  auto& putter =
    add(buffer, "put", "Put a row: it is written with others, within buffer_interval_ms", to_put, put, chosen);
  declare_values(putter, "-v,--value", to_put->values, "A column to set; the others do not change")
    ->type_name("COLUMN=VALUE");
  auto* update = putter.add_flag("--update", to_put->update, "Only if the row exists");
  putter.add_flag("--delete", to_put->erase, "Delete the row instead")->excludes(update);
  putter.add_option("--wait", to_put->wait_ms, "Milliseconds to wait for room in the buffer [0]")
    ->type_name("MS")
    ->check(CLI::Range(int64_t{0}, int64_t{86'400'000}));
  add(buffer, "get", "Show a row with its pending operations applied", std::make_shared<row_options>(), get, chosen);
}

} // namespace sluice::cli
