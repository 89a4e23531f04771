#include "actors/base/name_rules.hpp"
#include "runtime/catalogue/catalogue.hpp"
#include "runtime/catalogue/operation_schema.hpp"
#include "runtime/catalogue/operation_stubs.hpp"
#include "runtime/catalogue/schema_check.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/policy/access_policy.hpp"
#include "runtime/store/config.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <unistd.h>
#include <vector>

namespace sluice::cli {

namespace {

struct ops_options {
  std::string root = ".";
  std::string emit;
  std::string agent;
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

// Its first line.
std::string short_description(const operation& of) {
  auto end = of.description.find('\n');
  return end == std::string::npos ? of.description : of.description.substr(0, end) + " …";
}

using verdicts = std::vector<schema_verdict>;

std::string_view schema_text(enum schema_verdict::state state) {
  switch (state) {
  case schema_verdict::state::fits: return "fits";
  case schema_verdict::state::does_not_fit: return "does not fit";
  case schema_verdict::state::not_checked: return "not checked";
  }
  return "";
}

std::string catalogue_text(const catalogue& known, const verdicts& checked) {
  table result{{{"operation"}, {"kind"}, {"database"}, {"schema"}, {"tier"}, {"parameters"}, {"description"}}};
  for (size_t i = 0; i < checked.size(); ++i) {
    const auto& each = known.operations()[i];
    result.add({each.name, std::string{to_string(each.kind)}, each.database, std::string{schema_text(checked[i].state)},
                std::string{to_string(each.tier)}, parameters_text(each), short_description(each)});
  }
  return result.empty() ? "" : result.text();
}

nlohmann::json catalogue_json(const catalogue& known, const verdicts& checked) {
  auto list = nlohmann::json::array();
  for (size_t i = 0; i < checked.size(); ++i) {
    const auto& each = known.operations()[i];
    auto& listed = list.emplace_back(listing_of(each));
    listed["schema"] = to_string(checked[i].state);
    if (!checked[i].reason.empty())
      listed["schema_reason"] = checked[i].reason;
    listed["file"] = each.file;
    listed["line"] = each.line;
  }
  return {{"operations", std::move(list)}, {"hash", known.content_hash()}};
}

// Says which operations do not fit; true if all do.
bool note_misfits(const catalogue& known, const verdicts& checked) {
  auto all_fit = true;
  for (size_t i = 0; i < checked.size(); ++i) {
    if (checked[i].state != schema_verdict::state::does_not_fit)
      continue;
    note("operation " + known.operations()[i].name + " does not fit its database: " + checked[i].reason);
    all_fit = false;
  }
  return all_fit;
}

// Those that the policy lets the agent call; all if none was named. There may be no broker to ask.
caf::expected<std::shared_ptr<const catalogue>>
callable_by(const std::string& agent, std::shared_ptr<const catalogue> all, const std::filesystem::path& root) {
  if (agent.empty())
    return all;
  if (auto reason = agent_name_error(agent))
    return make_error(errc::invalid_request, "--agent: agent " + *reason);
  auto policy = load_policy(root);
  if (!policy)
    return std::move(policy.error());
  std::vector<operation> left;
  for (const auto& each : all->operations())
    if ((*policy)
          ->decide({agent, geteuid()}, {method_access::operation, each.name, each.database, each.tier})
          .is_allowed())
      left.push_back(each);
  return std::make_shared<const catalogue>(std::move(left), all->content_hash());
}

int run(const ops_options& options) {
  auto root = store_root::look_up(options.root);
  if (!root)
    return fail(root.error(), options.json);
  auto known = load_catalogue(std::filesystem::path{options.root} / "operations");
  if (known)
    known = callable_by(options.agent.empty() ? named_agent() : options.agent, *known, options.root);
  if (!known)
    return fail(known.error(), options.json);
  if (options.emit == "python")
    return finish(python_stubs(**known));
  if (options.emit == "typescript")
    return finish(typescript_stubs(**known));
  auto checked = check_against_schema(**known, *root);
  if ((*known)->operations().empty() && !options.json)
    note("there are no operations; docs/guides/operations.md says how to write them");
  auto status = options.json ? finish_json(catalogue_json(**known, checked)) : finish(catalogue_text(**known, checked));
  return note_misfits(**known, checked) ? status : std::max(status, 1);
}

} // namespace

void declare_ops(CLI::App& command, action& chosen) {
  auto options = std::make_shared<ops_options>();
  command.add_option("ROOT", options->root,
                     "Folder of the store [.]; operations are the .sql files in ROOT/operations");
  auto* emit = command.add_option("--emit", options->emit, "Print typed functions for the operations in this language")
                 ->type_name("python|typescript")
                 ->check(CLI::IsMember({"python", "typescript"}));
  command.add_option("--agent", options->agent, "Only what the policy lets this agent call [SLUICE_AGENT, then all]")
    ->check(not_empty("an agent"));
  command.add_flag("--json", options->json, "Print one JSON document, on failure too")->excludes(emit);
  command.footer(
    "Exit status: 0 the files are correct; 1 a file has a mistake, or an operation does not fit the schema of "
    "its database, which is shown with its line; 2 wrong usage.");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
