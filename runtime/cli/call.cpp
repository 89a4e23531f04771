#include "runtime/catalogue/catalogue.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/remarks.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/rowset_text.hpp"
#include "runtime/cli/write_text.hpp"
#include "runtime/json/json.hpp"
#include "runtime/json/json_values.hpp"
#include "runtime/server/rpc/strict_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace sluice::cli {

namespace {

using nlohmann::json;

// The end of the message when the arguments of a :batch operation are not in an array.
constexpr std::string_view array_wanted = "must be an array of objects, one for each set of arguments";

struct call_options : request_options {
  std::string operation;
  std::string root = ".";
  std::optional<std::string> key;
  int64_t deadline_ms = 0;
};

// The type of each parameter, as the broker knows the operation.
json types_of(client& store, const std::string& operation, const std::string& agent) {
  auto listed = store.call("operations", {{"agent", agent}});
  if (listed)
    for (const auto& each : listed->at("operations"))
      if (each.at("name") == operation)
        return each.at("inputSchema").value("properties", json::object());
  return json::object();
}

// Whether the parameter accepts such a value, as its JSON Schema says: "string" or "null".
bool takes(const json& types, const std::string& parameter, const char* kind) {
  auto found = types.find(parameter);
  if (found == types.end() || !found->contains("type"))
    return false;
  const auto& type = (*found)["type"];
  return type == kind || (type.is_array() && std::find(type.begin(), type.end(), kind) != type.end());
}

bool is_integer_word(std::string_view word) {
  if (word.starts_with('-') || word.starts_with('+'))
    word.remove_prefix(1);
  return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

// With a number that is too wide for any value as a text: the operation may want one.
request_options with_wide_numbers_as_text(request_options options) {
  for (auto& each : options.params) {
    auto begin = each.find('=') + 1;
    if (begin > 0 && is_integer_word(std::string_view{each}.substr(begin)) && !read_value(each.substr(begin)))
      each.insert(begin, "text:");
  }
  return options;
}

caf::expected<json> arguments_of(const call_options& options) {
  if (options.params_json) {
    auto document = rpc::parse_strictly(*options.params_json);
    if (!document)
      return make_error(errc::invalid_request, "--params: " + describe(document.error()).message);
    return document;
  }
  auto params = read_parameters(with_wide_numbers_as_text(options));
  if (!params)
    return std::move(params.error());
  if (!params->positional.empty())
    return make_error(errc::invalid_request, "the parameters of an operation are named: -p NAME=VALUE");
  auto result = json::object();
  for (const auto& [name, content] : params->named)
    if (!result.emplace(name, as_json(content)).second)
      return make_error(errc::invalid_request, "-p has the parameter '" + name + "' twice");
  return result;
}

// `-p code=007` is the text 007 where the operation wants a text, and `-p word=null` the text null where it does not
// accept NULL. Refuses a number that is too wide where it wants none.
caf::error use_words_as_text(json& arguments, const call_options& options, client& store) {
  auto is_literal = [](const auto& argument) { return argument.is_number() || argument.is_null(); };
  auto is_doubtful = [&](const std::string& word) {
    return is_literal(arguments[word.substr(0, word.find('='))]) || is_integer_word(word.substr(word.find('=') + 1));
  };
  if (options.params_json || std::none_of(options.params.begin(), options.params.end(), is_doubtful))
    return {};
  auto types = types_of(store, options.operation, agent_name(options.agent));
  for (const auto& word : options.params) {
    auto name = word.substr(0, word.find('='));
    auto is_text = takes(types, name, "string");
    if (is_text && is_literal(arguments[name]) && !(arguments[name].is_null() && takes(types, name, "null")))
      arguments[name] = word.substr(name.size() + 1);
    else if (auto content = read_value(word.substr(name.size() + 1)); !content && !is_text)
      return std::move(content.error());
  }
  return {};
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
  if (auto capsule = capsule_of(options); !capsule.empty())
    result["capsule"] = std::move(capsule);
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

// Opening a store makes a folder one, which is of no use without the operation.
caf::error check_new_store(const call_options& options) {
  auto elsewhere = !options.endpoint.empty() || std::getenv("SLUICE_ENDPOINT") != nullptr;
  if (elsewhere || !is_missing(std::filesystem::path{options.root} / ".sluice"))
    return {};
  auto known = load_catalogue(std::filesystem::path{options.root} / "operations");
  if (!known)
    return std::move(known.error());
  if ((*known)->find(options.operation))
    return {};
  return make_error(errc::unknown_operation,
                    "there is no operation '" + options.operation + "'; sluice ops lists the operations of a folder");
}

int run(const call_options& options) {
  auto params = params_of(options);
  if (!params)
    return usage_error(describe(params.error()).message, options.json);
  if (auto reason = check_new_store(options))
    return fail(reason, options.json);
  auto store = open_store(options, options.root);
  if (!store)
    return fail(store.error(), options.json);
  if (auto reason = use_words_as_text((*params)["params"], options, **store))
    return fail(reason, options.json);
  auto answer = (*store)->call("call", std::move(*params));
  if (!answer) {
    auto reason = describe(answer.error());
    if (reason.code == errc::invalid_request && !options.params_json && reason.message.ends_with(array_wanted))
      reason.message += "; give --params '[{...}]'";
    auto status = fail(reason, options.json);
    if (reason.outcome == outcome::unknown)
      note(remark_on_unknown_write(options.key.has_value()));
    return status;
  }
  auto status = options.json ? finish_json(*answer) : finish(answer_text(*answer));
  if (!answer->value("truncated", false))
    return status;
  return finish_cut(status, remark_on_cut_answer(answer->at("rows").size()));
}

// Throws for words that are no arguments; an assignment lacks -p.
void refuse_extras(const std::vector<std::string>& words) {
  if (words.empty())
    return;
  if (const auto& word = words.front(); !word.starts_with('-') && word.find('=') != std::string::npos)
    throw CLI::ValidationError{fmt::format("'{}' is not an option; write -p {}", word, word)};
  throw CLI::ExtrasError{"call", words};
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
  command.add_option("--key", options->key, "Idempotency key: the same call under the same key is applied once")
    ->check(not_empty("an idempotency key"));
  command.add_option("--deadline", options->deadline_ms, "Milliseconds within which the call must be done")
    ->type_name("MS")
    ->check(CLI::Range(int64_t{1}, int64_t{86'400'000}));
  declare_way(command, *options);
  declare_capsule_of(command, *options);
  command.add_option("--integers", options->integers, "Integers beyond 2^53 as number, text or tagged [number]")
    ->type_name("FORM")
    ->check(CLI::IsMember({"number", "text", "tagged"}))
    ->needs("--json");
  command.allow_extras();
  command.final_callback([options, &command, &chosen] {
    refuse_extras(command.remaining());
    chosen = [options] { return run(*options); };
  });
}

} // namespace sluice::cli
