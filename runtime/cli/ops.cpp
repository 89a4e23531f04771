#include "runtime/catalogue/catalogue.hpp"
#include "runtime/catalogue/operation_schema.hpp"
#include "runtime/catalogue/operation_stubs.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/table.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace sluice::cli {

namespace {

struct ops_options {
  std::string root = ".";
  std::string emit;
  bool json = false;
};

std::string parameters_text(const operation& of) {
  std::string result;
  for (const auto& each : of.parameters) {
    result += result.empty() ? "" : ", ";
    result += each.name;
    result += " ";
    result += to_string(each.type);
    result += each.nullable ? "?" : "";
  }
  return result;
}

std::string catalogue_text(const catalogue& known) {
  table result{{{"operation"}, {"kind"}, {"database"}, {"tier"}, {"parameters"}, {"description"}}};
  for (const auto& each : known.operations())
    result.add({each.name, std::string{to_string(each.kind)}, each.database, std::string{to_string(each.tier)},
                parameters_text(each), each.description.substr(0, each.description.find('\n'))});
  return result.empty() ? "" : result.text();
}

nlohmann::json catalogue_json(const catalogue& known) {
  auto list = nlohmann::json::array();
  for (const auto& each : known.operations()) {
    auto& tool = list.emplace_back(tool_of(each, !each.writes()));
    tool["db"] = each.database;
    tool["kind"] = to_string(each.kind);
    tool["tier"] = to_string(each.tier);
    tool["file"] = each.file;
    tool["line"] = each.line;
  }
  return {{"operations", std::move(list)}, {"hash", known.content_hash()}};
}

int run(const ops_options& options) {
  auto known = load_catalogue(std::filesystem::path{options.root} / "operations");
  if (!known)
    return fail(known.error(), options.json);
  if (options.emit == "python")
    return finish(python_stubs(**known));
  if (options.emit == "typescript")
    return finish(typescript_stubs(**known));
  if (options.json)
    return finish_json(catalogue_json(**known));
  if ((*known)->operations().empty())
    note("there are no operations; docs/guides/operations.md says how to write them");
  return finish(catalogue_text(**known));
}

} // namespace

void declare_ops(CLI::App& command, action& chosen) {
  auto options = std::make_shared<ops_options>();
  command.add_option("ROOT", options->root,
                     "Folder of the store [.]; operations are the .sql files in ROOT/operations");
  auto* emit = command.add_option("--emit", options->emit, "Print typed functions for the operations in this language")
                 ->type_name("python|typescript")
                 ->check(CLI::IsMember({"python", "typescript"}));
  command.add_flag("--json", options->json, "Print one JSON document, on failure too")->excludes(emit);
  command.footer("Exit status: 0 the files are correct; 1 a file has a mistake, which is shown with its line; 2 wrong "
                 "usage.");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
