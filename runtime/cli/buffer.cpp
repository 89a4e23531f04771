#include "actors/base/counted.hpp"
#include "runtime/cli/buffer_row.hpp"
#include "runtime/cli/buffered_store.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/json/json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

constexpr uint64_t rows_at_a_time = 1'000;

struct buffer_options {
  std::string root = ".";
  std::vector<uint64_t> ids;
  bool json = false;
};

std::string columns_text(const nlohmann::json& columns) {
  std::string result;
  for (const auto& [name, content] : columns.items())
    result += fmt::format("{}{}={}", result.empty() ? "" : ", ", name, dump(content));
  return result;
}

std::string as_text(const nlohmann::json& rows) {
  table result{{{"ID", alignment::right},
                {"SET ASIDE"},
                {"DATABASE"},
                {"TABLE"},
                {"OPERATION"},
                {"KEY"},
                {"AGENT"},
                {"CODE"},
                {"WHY"}}};
  auto text = [](const nlohmann::json& row, const char* name) { return row.value(name, std::string{}); };
  for (const auto& row : rows)
    result.add({std::to_string(row.at("id").get<uint64_t>()), text(row, "ts"), text(row, "db"), text(row, "table"),
                text(row, "operation"), columns_text(row.value("key", nlohmann::json::object())), text(row, "agent"),
                text(row, "code"), text(row, "message")});
  return result.empty() ? "no rows are set aside\n" : result.text();
}

// All rows, a page at a time.
caf::expected<nlohmann::json> all_rejected(client& store) {
  auto rows = nlohmann::json::array();
  for (uint64_t last = 0;;) {
    auto page = store.call("buffer.rejected", with_agent({{"after_id", last}, {"limit", rows_at_a_time}}));
    if (!page)
      return page;
    auto& more = page->at("rows");
    if (more.empty())
      return nlohmann::json{{"rows", std::move(rows)}};
    last = more.back().at("id").get<uint64_t>();
    for (auto& row : more)
      rows.push_back(std::move(row));
  }
}

int list(client* store, const buffer_options& options) {
  auto rows = store ? all_rejected(*store) : caf::expected<nlohmann::json>{as_json(rejected_page{})};
  if (!rows)
    return fail(rows.error(), options.json);
  return options.json ? finish_json(*rows) : finish(as_text(rows->at("rows")));
}

int decide(client* store, const buffer_options& options, const char* method, const char* done) {
  caf::expected<nlohmann::json> answer{nlohmann::json{{done, 0}}};
  if (store)
    answer = store->call(
      method, with_agent(options.ids.empty() ? nlohmann::json::object() : nlohmann::json{{"ids", options.ids}}));
  if (!answer)
    return fail(answer.error(), options.json);
  auto count = answer->at(done).get<uint64_t>();
  if (count < options.ids.size())
    note(fmt::format("{} of the ids are not {}; `sluice buffer list` shows the rows that are set aside",
                     options.ids.size() - count, done));
  if (options.json)
    return finish_json(*answer);
  return finish(fmt::format("{} {}\n", counted(count, "row"), done));
}

int requeue(client* store, const buffer_options& options) {
  return decide(store, options, "buffer.requeue", "requeued");
}

int discard(client* store, const buffer_options& options) {
  return decide(store, options, "buffer.discard", "discarded");
}

using buffer_command = int (*)(client*, const buffer_options&);

int run(const buffer_options& options, buffer_command command) {
  auto store = open_buffered(options.root);
  return store ? command(store->get(), options) : fail(store.error(), options.json);
}

} // namespace

void declare_buffer(CLI::App& command, action& chosen) {
  auto options = std::make_shared<buffer_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.require_subcommand(1);
  auto add = [&](const char* name, const char* description, buffer_command kind) {
    auto* sub = command.add_subcommand(name, description)->fallthrough();
    sub->add_flag("--json", options->json, "Print one JSON document, on failure too");
    sub->final_callback([options, kind, &chosen] { chosen = [options, kind] { return run(*options, kind); }; });
    return sub;
  };
  add("list", "List rejected rows with the reasons", list);
  add("requeue", "Queue rejected rows again", requeue)->add_option("ID", options->ids, "Only these; all if left out");
  add("discard", "Delete rejected rows", discard)->add_option("ID", options->ids, "Only these; all if left out");
  declare_buffer_row(command, chosen);
}

} // namespace sluice::cli
