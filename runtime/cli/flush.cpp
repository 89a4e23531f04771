#include "actors/base/counted.hpp"
#include "runtime/cli/buffered_store.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/json/json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

struct flush_options {
  std::string root = ".";
  std::string db;
  std::string table;
  bool json = false;
};

nlohmann::json as_params(const flush_options& options) {
  nlohmann::json result{{"agent", agent_name({})}};
  if (!options.db.empty())
    result["db"] = options.db;
  if (!options.table.empty())
    result["table"] = options.table;
  return result;
}

std::string report_text(const nlohmann::json& report) {
  auto written = report.at("flushed").get<uint64_t>();
  return fmt::format("{} written, {} set aside, {} kept\n", counted(written, "row"),
                     report.at("set_aside").get<uint64_t>(), report.at("kept").get<uint64_t>());
}

int run(const flush_options& options) {
  auto store = open_buffered(options.root);
  if (!store)
    return fail(store.error(), options.json);
  auto report =
    *store ? (*store)->call("flush", as_params(options)) : caf::expected<nlohmann::json>{as_json(flush_report{})};
  if (!report)
    return fail(report.error(), options.json);
  auto status = options.json ? finish_json(*report) : finish(report_text(*report));
  if (report->at("kept").get<uint64_t>() == 0)
    return status;
  note("rows were kept, and are tried again: " + report->value("reason", "no reason is known"));
  return failed;
}

} // namespace

void declare_flush(CLI::App& command, action& chosen) {
  auto options = std::make_shared<flush_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.add_option("--db", options->db, "Only rows of this database, relative to the store");
  command.add_option("--table", options->table, "Only rows of this table");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
