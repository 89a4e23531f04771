#include "runtime/catalogue/catalogue.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/remarks.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/rowset_text.hpp"
#include "runtime/cli/write_text.hpp"
#include "runtime/json/json.hpp"
#include "runtime/json/json_values.hpp"
#include "runtime/server/rpc/strict_json.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>

namespace sluice::cli {

namespace {

using nlohmann::json;

struct call_options : request_options {
  std::string operation;
  std::string root = ".";
  std::optional<std::string> key;
  int64_t deadline_ms = 0;
};

// By the type that the operation gives it, if its file is here: `-p code=007` is a text then.
json argument_of(const std::string& word, const value& content, const operation_parameter* parameter) {
  auto is_text = parameter && parameter->type == parameter_type::text;
  return is_text && !content.text() && !content.is_null() ? json(word) : as_json(content);
}

caf::expected<json> arguments_of(const call_options& options) {
  if (!options.params_json.empty()) {
    auto document = rpc::parse_strictly(options.params_json);
    if (!document)
      return make_error(errc::invalid_request, "--params: " + describe(document.error()).message);
    return document;
  }
  auto params = read_parameters(options);
  if (!params)
    return std::move(params.error());
  if (!params->positional.empty())
    return make_error(errc::invalid_request, "the parameters of an operation are named: -p NAME=VALUE");
  auto known = load_catalogue(std::filesystem::path{options.root} / "operations");
  const auto* called = known ? (*known)->find(options.operation) : nullptr;
  auto result = json::object();
  for (size_t i = 0; i < params->named.size(); ++i) {
    const auto& [name, content] = params->named[i];
    auto word = options.params[i].substr(name.size() + 1);
    result[name] = argument_of(word, content, called ? called->find_parameter(name) : nullptr);
  }
  return result;
}

caf::expected<json> params_of(const call_options& options) {
  auto arguments = arguments_of(options);
  if (!arguments)
    return std::move(arguments.error());
  json result{
    {"operation", options.operation}, {"params", std::move(*arguments)}, {"agent", agent_name(options.agent)}};
  if (options.key)
    result["idempotency_key"] = *options.key;
  if (options.deadline_ms > 0)
    result["deadline_ms"] = options.deadline_ms;
  if (!options.integers.empty())
    result["integers"] = options.integers;
  return result;
}

std::string answer_text(const json& answer) {
  rowset rows{std::make_shared<const rowset::column_names>(answer.at("columns").get<rowset::column_names>())};
  for (const auto& row : answer.at("rows"))
    for (const auto& column : rows.columns())
      if (auto content = value_from_json(row.at(column), column))
        rows.append(std::move(*content));
  auto result = rows.columns().empty() ? std::string{} : as_table(rows);
  if (!answer.contains("outcome"))
    return result;
  return result
         + summary_line({answer.at("changes").get<int64_t>(), answer.at("commit_seq").get<uint64_t>(),
                         answer.value("replayed", false)});
}

int run(const call_options& options) {
  auto params = params_of(options);
  if (!params)
    return usage_error(describe(params.error()).message, options.json);
  auto store = open_store(options, options.root);
  if (!store)
    return fail(store.error(), options.json);
  auto answer = (*store)->call("call", std::move(*params));
  if (!answer) {
    auto reason = describe(answer.error());
    auto status = fail(reason, options.json);
    if (reason.outcome == outcome::unknown)
      note(remark_on_unknown_write(options.key.has_value()));
    return status;
  }
  auto status = options.json ? finish_json(*answer) : finish(answer_text(*answer));
  if (!answer->value("truncated", false))
    return status;
  return finish_cut(status, remark_on_cut_rows(answer->at("rows").size()));
}

} // namespace

void declare_call(CLI::App& command, action& chosen) {
  auto options = std::make_shared<call_options>();
  command.add_option("OPERATION", options->operation, "Name of the operation, as sluice ops lists it")->required();
  command.add_option("--root", options->root, "Folder of the store [.]")->type_name("ROOT");
  declare_values(command, "-p,--param", options->params, "An argument: NAME=VALUE, with values as in sluice exec")
    ->type_name("NAME=VALUE");
  command
    .add_option("--params", options->params_json,
                "All arguments as one JSON document: an object, or an array of objects for a :batch operation")
    ->type_name("JSON")
    ->excludes("--param");
  command.add_option("--key", options->key, "Idempotency key: the same call under the same key is applied once");
  command.add_option("--deadline", options->deadline_ms, "Milliseconds within which the call must be done")
    ->type_name("MS")
    ->check(CLI::Range(int64_t{1}, int64_t{86'400'000}));
  declare_way(command, *options);
  command.add_option("--integers", options->integers, "Integers beyond 2^53 as number, text or tagged [number]")
    ->type_name("FORM")
    ->check(CLI::IsMember({"number", "text", "tagged"}))
    ->needs("--json");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
