#include "runtime/server/rpc/mcp.hpp"

#include "actors/base/name_rules.hpp"
#include "actors/base/request_ids.hpp"
#include "runtime/catalogue/operation.hpp"
#include "runtime/json/json.hpp"
#include "runtime/os/random_seed.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/mcp_tools.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

namespace sluice::rpc {

namespace {

using nlohmann::json;

// Newest first. Where they differ, only features that the older ones allow are used.
constexpr std::array<std::string_view, 4> versions{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};

answer failed_tool(const failure& failed) {
  json text{{"type", "text"}, {"text", advice_on(failed)}};
  return {json{{"content", json::array({std::move(text)})}, {"isError", true}}, {}};
}

answer tool_answer(answer response) {
  if (response.error) {
    json error{{"code", response.error->code},
               {"message", std::move(response.error->message)},
               {"data", std::move(response.error->data)}};
    return failed_tool(failure_from_json(error));
  }
  // Another thread has already written a large result, which is not parsed or written again here.
  if (response.text.empty())
    response.text = dump(response.result);
  if (response.quoted.empty())
    response.quoted = dump(json(response.text));
  answer result;
  result.text = fmt::format(R"({{"content":[{{"text":{},"type":"text"}}],"isError":false,"structuredContent":{}}})",
                            response.quoted, response.text);
  return result;
}

void leave_out_nulls(json& object) {
  for (auto member = object.begin(); member != object.end();)
    member = member->is_null() ? object.erase(member) : std::next(member);
}

// Accepts null for missing members, and 5.0 for 5, wherever `schema` has an object and an integer: hosts and models
// send these. Values, which may be anything, are left alone.
void forgive(const json& schema, json& content) {
  constexpr double largest = 9'007'199'254'740'992.0;
  if (const auto* real = content.get_ptr<const double*>();
      real && schema.value("type", json{}) == "integer" && std::abs(*real) <= largest && std::trunc(*real) == *real)
    content = static_cast<int64_t>(*real);
  else if (content.is_array() && schema.contains("items"))
    for (auto& item : content)
      forgive(schema["items"], item);
  if (!content.is_object() || !schema.contains("properties"))
    return;
  leave_out_nulls(content);
  for (auto& [name, part] : content.items())
    if (auto known = schema["properties"].find(name); known != schema["properties"].end())
      forgive(*known, part);
}

// The member, or null.
json member(const json& object, const char* name) { return object.is_object() ? object.value(name, json{}) : json{}; }

void add_to_description(json& tool, const std::string& text) {
  auto& description = tool["description"];
  description = (description.is_string() ? description.get<std::string>() + "\n\n" : std::string{}) + text;
}

// Of an operation that does not fit its database, the tool says so: a model has nothing else to see it by.
json operation_tool(const json& operation) {
  auto tool = json::object();
  for (const auto* part : {"name", "description", "inputSchema", "outputSchema", "annotations"})
    if (operation.contains(part))
      tool[part] = operation[part];
  if (member(operation, "schema") == "does_not_fit")
    add_to_description(tool, "Calls of this tool fail until it is corrected, because it does not fit its database: "
                               + operation.value("schema_reason", ""));
  return tool;
}

// The tools of operations are those of earlier files, and sluice_schema is there even without any.
void add_mistake(json& tool, const std::string& mistake) {
  auto is_own = tool["name"].get_ref<const std::string&>().starts_with(reserved_operations);
  if (is_own && tool["name"] != "sluice_schema")
    return;
  add_to_description(
    tool, is_own ? "The operation files have a mistake, so that new and changed operations are not "
                   "in force: "
                     + mistake
                 : "The operation files have a mistake, so that this is the operation as it was before: " + mistake);
}

// Does not require `initialize` first: over HTTP each request may be the first of its handler.
class mcp final : public handler {
public:
  mcp(std::unique_ptr<handler> methods, mcp_settings settings)
    : methods_(std::move(methods)), settings_(std::move(settings)), request_ids_(random_seed()) {
    methods_->quote_texts();
  }

  void set_request_id(const json* id) override {
    id_ = id ? dump(*id) : std::string{};
    methods_->set_request_id(id);
  }

  void hold(bool is_behind) override { methods_->hold(is_behind); }
  void leave() override { methods_->leave(); }
  bool has_subscriptions() const override { return methods_->has_subscriptions(); }

  void call(const std::string& method, json params, answer_to done) override {
    if (method == "initialize")
      return initialize(params, std::move(done));
    if (method == "ping")
      return done({json::object(), {}});
    if (method == "tools/list")
      return list_tools(params, std::move(done));
    if (method == "tools/call")
      return call_tool(std::move(params), std::move(done));
    if (method.starts_with("notifications/"))
      return notified(method, params, done);
    if (settings_.pass_through)
      return methods_->call(method, std::move(params), std::move(done));
    give(method, params, {nullptr, unknown_method(method), {}}, done);
  }

  void note_refusal(std::string_view method, const json& params, const error& reason) override {
    methods_->note_refusal(method, params, reason);
  }

private:
  // Records requests that do not reach the inner methods.
  void give(std::string_view method, const json& params, answer response, const answer_to& done) {
    if (response.error)
      methods_->note_refusal(method, params, *response.error);
    done(std::move(response));
  }

  void initialize(const json& params, answer_to done) {
    auto wanted = member(params, "protocolVersion");
    if (!wanted.is_string())
      return give("initialize", params, refused(invalid_params, "protocolVersion must be a text"), done);
    auto name = member(member(params, "clientInfo"), "name");
    auto agent = usable_agent(name.is_string() ? name.get<std::string>() : std::string{});
    if (!settings_.is_bound && !agent.empty())
      settings_.agent = std::move(agent);
    const auto& version = wanted.get_ref<const std::string&>();
    json result{{"protocolVersion", speaks_mcp(version) ? version : std::string{versions.front()}},
                {"capabilities", {{"tools", json::object()}}},
                {"serverInfo", {{"name", "sluice"}, {"title", "sluice"}, {"version", settings_.version}}}};
    methods_->call("operations", {{"agent", settings_.agent}},
                   [this, result = std::move(result), done = std::move(done)](const answer& response) mutable {
                     auto usable = usable_tools(response, listed(response));
                     result["instructions"] = mcp_instructions([&](std::string_view tool) {
                       return std::any_of(usable.begin(), usable.end(), [&](const auto* x) { return x->name == tool; });
                     });
                     done({std::move(result), {}});
                   });
  }

  static bool fails_as(const answer& response, errc code) {
    return response.error && member(response.error->data, "code") == to_string(code);
  }

  static json listed(const answer& response) {
    return response.text.empty() ? response.result : json::parse(response.text);
  }

  // The tools that call other methods than `call`. Without a broker that lists operations, these are all.
  std::vector<const mcp_tool*> usable_tools(const answer& response, const json& list) const {
    auto names = member(list, "tools");
    // In this name nothing is allowed at all, or nothing now.
    if (fails_as(response, errc::not_authorized) || fails_as(response, errc::overloaded))
      names = json::array();
    std::vector<const mcp_tool*> result;
    for (const auto& tool : mcp_tools())
      if ((names.is_null() || std::find(names.begin(), names.end(), json(tool.name)) != names.end())
          && is_shown(tool.definition))
        result.push_back(&tool);
    return result;
  }

  void list_tools(const json& params, answer_to done) {
    if (!member(params, "cursor").is_null())
      return give("tools/list", params, refused(invalid_params, "cursor is none that was given out; there is one page"),
                  done);
    json asked{{"agent", settings_.agent}};
    methods_->call("operations", std::move(asked), [this, done = std::move(done)](const answer& response) {
      auto tools = json::array();
      // A host would keep a list without the tools.
      if (fails_as(response, errc::overloaded))
        return done(response);
      auto list = listed(response);
      for (const auto* tool : usable_tools(response, list))
        tools.push_back(tool->definition);
      for (const auto& operation : member(list, "operations"))
        if (is_shown(operation))
          tools.push_back(operation_tool(operation));
      if (auto mistake = member(list, "mistake"); mistake.is_string())
        for (auto& tool : tools)
          add_mistake(tool, mistake.get_ref<const std::string&>());
      done({json{{"tools", std::move(tools)}}, {}});
    });
  }

  bool is_shown(const json& tool) const {
    return !settings_.read_only || member(member(tool, "annotations"), "readOnlyHint") == true;
  }

  void call_tool(json params, answer_to done) {
    auto name = member(params, "name");
    auto arguments = member(params, "arguments");
    if (arguments.is_null())
      arguments = json::object();
    auto named = arguments.is_object() ? arguments : json::object();
    named.emplace("agent", settings_.agent);
    if (!name.is_string())
      return give({}, named, refused(invalid_params, "name must be a text"), done);
    const auto& text = name.get_ref<const std::string&>();
    auto* tool = find_mcp_tool(text);
    if (!tool && (!is_operation_name(text) || text.starts_with(reserved_operations)))
      return give({}, named, unknown_tool(text), done);
    if (!tool)
      return call_operation(text, std::move(arguments), std::move(done));
    if (!arguments.is_object())
      return give(tool->method, named, refused(invalid_params, "arguments must be an object"), done);
    forgive(tool->definition["inputSchema"], arguments);
    for (const auto& [argument, content] : arguments.items())
      if (!tool->takes(argument)) {
        auto reason = no_argument(*tool, argument);
        methods_->note_refusal(tool->method, named, error_of(reason));
        return done(failed_tool(reason));
      }
    run(*tool, std::move(arguments), std::move(done));
  }

  static answer unknown_tool(const std::string& name) {
    return refused(invalid_params, fmt::format("Unknown tool: {}", name.substr(0, 100)));
  }

  // The broker checks the arguments, and records a refusal.
  void call_operation(const std::string& name, json arguments, answer_to done) {
    json params{{"operation", name}, {"params", std::move(arguments)}};
    run("call", std::move(params), [name, done = std::move(done)](answer response) {
      auto code = response.error ? member(response.error->data, "code") : json{};
      done(code == to_string(errc::unknown_operation) ? unknown_tool(name) : tool_answer(std::move(response)));
    });
  }

  static failure no_argument(const mcp_tool& tool, const std::string& argument) {
    return make_failure(errc::invalid_request,
                        fmt::format("{} has no argument \"{}\"", tool.name, argument.substr(0, 100)));
  }

  void run(const mcp_tool& tool, json arguments, answer_to done) {
    auto answered = [done = std::move(done)](answer response) { done(tool_answer(std::move(response))); };
    if (!tool.is_request()) {
      sign(arguments);
      return methods_->call(tool.method, std::move(arguments), std::move(answered));
    }
    run(tool.method, std::move(arguments), std::move(answered));
  }

  void sign(json& arguments) const {
    if (settings_.is_bound)
      arguments["agent"] = settings_.agent;
    else
      arguments.emplace("agent", settings_.agent);
  }

  // A request that can be cancelled.
  void run(const std::string& method, json arguments, answer_to done) {
    auto request_id = request_ids_.next();
    arguments["request_id"] = request_id;
    sign(arguments);
    auto id = id_;
    if (!id.empty())
      running_[id] = request_id;
    methods_->call(method, std::move(arguments), [this, id, request_id, done = std::move(done)](answer response) {
      if (auto at = running_.find(id); at != running_.end() && at->second == request_id)
        running_.erase(at);
      done(std::move(response));
    });
  }

  void notified(const std::string& method, const json& params, const answer_to& done) {
    if (method == "notifications/cancelled") {
      auto at = running_.find(dump(member(params, "requestId")));
      if (at != running_.end())
        methods_->call("cancel", json{{"request_id", at->second}}, [](const answer&) {});
    }
    done({json::object(), {}});
  }

  std::unique_ptr<handler> methods_;
  mcp_settings settings_;
  request_ids request_ids_;
  // The JSON-RPC id of the current call, as text; empty for a notification.
  std::string id_;
  // By JSON-RPC id, the request ids of the running tool calls.
  std::map<std::string, std::string> running_;
};

} // namespace

bool speaks_mcp(std::string_view version) {
  return std::find(versions.begin(), versions.end(), version) != versions.end();
}

std::unique_ptr<handler> make_mcp(std::unique_ptr<handler> methods, mcp_settings settings) {
  return std::make_unique<mcp>(std::move(methods), std::move(settings));
}

} // namespace sluice::rpc
