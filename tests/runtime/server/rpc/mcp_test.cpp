#include "runtime/server/rpc/mcp.hpp"

#include "runtime/server/rpc/dispatch.hpp"
#include "tests/runtime/server/rpc/fake_handler.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::mcp_test {

using Catch::Contains;
using nlohmann::json;

namespace {

// An MCP client, and methods that answer as the test defines.
struct mcp_client {
  rpc::fake_handler* methods = nullptr;
  std::unique_ptr<rpc::handler> aut;
  std::vector<std::string> answers;

  explicit mcp_client(rpc::mcp_settings settings = {"1.2.3", "mcp", false}) {
    auto inner = std::make_unique<rpc::fake_handler>();
    methods = inner.get();
    aut = rpc::make_mcp(std::move(inner), std::move(settings));
  }

  void send(const json& document) {
    rpc::dispatch(document.dump(), *aut, [this](std::string x) { answers.push_back(std::move(x)); });
  }

  json request(const std::string& method, const json& params = json::object(), const json& id = 1) {
    return {{"jsonrpc", "2.0"}, {"method", method}, {"params", params}, {"id", id}};
  }

  json ask(const std::string& method, const json& params = json::object()) {
    auto before = answers.size();
    send(request(method, params));
    REQUIRE(answers.size() == before + 1);
    return json::parse(answers.back());
  }

  void notify(const std::string& method, const json& params = json::object()) {
    auto before = answers.size();
    send({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
    REQUIRE(answers.size() == before + 1);
    CHECK(answers.back().empty());
    answers.pop_back();
  }

  json call_tool(const std::string& name, const json& arguments) {
    return ask("tools/call", {{"name", name}, {"arguments", arguments}});
  }
};

const json a_read{{"db", "app.db"}, {"sql", "SELECT 1"}};
const json a_write = json::parse(R"({"db":"app.db","statements":[{"sql":"DELETE FROM t"}],"idempotency_key":"k"})");

json initialize(const std::string& version, const std::string& name = "tester") {
  return {
    {"protocolVersion", version}, {"capabilities", json::object()}, {"clientInfo", {{"name", name}, {"version", "1"}}}};
}

} // namespace

TEST_CASE("mcp: initialize has the name of the server and its capabilities") {
  mcp_client f;
  auto result = f.ask("initialize", initialize("2025-06-18"))["result"];
  CHECK(result["protocolVersion"] == "2025-06-18");
  CHECK(result["capabilities"] == json::parse(R"({"tools":{}})"));
  CHECK(result["serverInfo"]["name"] == "sluice");
  CHECK(result["serverInfo"]["version"] == "1.2.3");
  CHECK_THAT(result["instructions"].get<std::string>(), Contains("sluice_write"));
  f.notify("notifications/initialized");
  REQUIRE(f.methods->calls.size() == 1);
  CHECK(f.methods->calls[0].method == "operations");
}

TEST_CASE("mcp: the client's version is kept if it is supported, else the answer has the newest one") {
  mcp_client f;
  for (const auto* version : {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"})
    CHECK(f.ask("initialize", initialize(version))["result"]["protocolVersion"] == version);
  for (const auto* version : {"2099-01-01", "", "1.0"})
    CHECK(f.ask("initialize", initialize(version))["result"]["protocolVersion"] == "2025-11-25");
  CHECK(f.ask("initialize")["error"]["code"] == rpc::invalid_params);
  CHECK(f.ask("initialize", {{"protocolVersion", 1}})["error"]["code"] == rpc::invalid_params);
}

TEST_CASE("mcp: ping is answered with nothing, before initialize too") {
  mcp_client f;
  CHECK(f.ask("ping")["result"] == json::object());
}

TEST_CASE("mcp: the tools are listed with their schemas, on one page") {
  mcp_client f;
  auto result = f.ask("tools/list")["result"];
  CHECK_FALSE(result.contains("nextCursor"));
  std::vector<std::string> names;
  for (const auto& tool : result["tools"]) {
    names.push_back(tool["name"]);
    CHECK(tool["description"].get<std::string>().size() > 50);
    CHECK(tool["inputSchema"]["type"] == "object");
    CHECK(tool["inputSchema"]["additionalProperties"] == false);
    CHECK(tool["annotations"]["readOnlyHint"] == (tool["name"] != "sluice_write"));
  }
  CHECK(names == std::vector<std::string>{"sluice_read", "sluice_write", "sluice_schema", "sluice_status"});
  CHECK(f.ask("tools/list", {{"cursor", "more"}})["error"]["code"] == rpc::invalid_params);
}

TEST_CASE("mcp: a tool's call is a call of the method, with what the client left out") {
  mcp_client f;
  f.methods->always = rpc::answer{json{{"columns", {"1"}}, {"rows", {{1}}}}, {}};
  auto result = f.call_tool("sluice_read", a_read)["result"];
  CHECK(result["isError"] == false);
  CHECK(result["structuredContent"] == json::parse(R"({"columns":["1"],"rows":[[1]]})"));
  CHECK(json::parse(result["content"][0]["text"].get<std::string>()) == result["structuredContent"]);
  REQUIRE(f.methods->calls.size() == 1);
  CHECK(f.methods->calls[0].method == "read");
  CHECK(f.methods->calls[0].params["sql"] == "SELECT 1");
  CHECK(f.methods->calls[0].params["agent"] == "mcp");
  CHECK_FALSE(f.methods->calls[0].params["request_id"].get<std::string>().empty());
  f.call_tool("sluice_write", a_write);
  CHECK(f.methods->calls[1].method == "write");
  CHECK(f.methods->calls[1].params["idempotency_key"] == "k");
  CHECK(f.methods->calls[1].params["request_id"] != f.methods->calls[0].params["request_id"]);
  f.call_tool("sluice_status", json::object());
  CHECK(f.methods->calls[2].method == "status");
  CHECK(f.methods->calls[2].params == json{{"agent", "mcp"}});
  f.call_tool("sluice_schema", {{"db", "app.db"}});
  CHECK(f.methods->calls[3].method == "schema");
  CHECK(f.methods->calls[3].params == json{{"db", "app.db"}, {"agent", "mcp"}});
}

TEST_CASE("mcp: null means left out, and a whole number may be written as a real") {
  mcp_client f;
  f.methods->always = rpc::answer{json::object(), {}};
  auto called = [&](const char* tool, const char* arguments) {
    CHECK(f.call_tool(tool, json::parse(arguments))["result"]["isError"] == false);
    auto params = f.methods->calls.back().params;
    params.erase("request_id");
    return params;
  };
  CHECK(called("sluice_status", "null") == json{{"agent", "mcp"}});
  CHECK(called("sluice_read", R"({"db":"a","sql":"s","params":null,"max_rows":5.0,"timeout_ms":null,"agent":null})")
        == json::parse(R"({"db":"a","sql":"s","max_rows":5,"agent":"mcp"})"));
  CHECK(called("sluice_write", R"({"db":"a","statements":[{"sql":"s","params":null}],"deadline_ms":1e3})")
        == json::parse(R"({"db":"a","statements":[{"sql":"s"}],"deadline_ms":1000,"agent":"mcp"})"));
  CHECK(called("sluice_write",
               R"({"db":"a","statements":[{"sql":"s","expect":{"changes":5.0}},{"sql":"s","expect":null}]})")
        == json::parse(R"({"db":"a","statements":[{"sql":"s","expect":{"changes":5}},{"sql":"s"}],"agent":"mcp"})"));
  CHECK(called("sluice_schema", R"({"db":null})") == json::parse(R"({"agent":"mcp"})"));
  // Values and numbers that are not whole are unchanged.
  auto kept = called("sluice_read", R"({"db":"a","sql":"s","params":[5.0,null],"max_rows":5.5})");
  CHECK(kept["params"].dump() == "[5.0,null]");
  CHECK(kept["max_rows"].dump() == "5.5");
}

TEST_CASE("mcp: a result in text form is passed on unchanged, and quoted") {
  mcp_client f;
  CHECK(f.methods->quotes_texts);
  rpc::answer large;
  large.text = R"({"rows":[["\"\n"]]})";
  large.quoted = json(large.text).dump();
  f.methods->always = large;
  auto result = f.call_tool("sluice_read", a_read)["result"];
  CHECK(result["structuredContent"] == json::parse(large.text));
  CHECK(result["content"][0]["text"] == large.text);
}

TEST_CASE("mcp: calls have the client's name as agent, unless they name another one") {
  mcp_client f;
  f.methods->always = rpc::answer{json::object(), {}};
  f.ask("initialize", initialize("2025-06-18", "an \nagent\x7f"));
  f.call_tool("sluice_read", a_read);
  CHECK(f.methods->calls.back().params["agent"] == "an agent");
  auto as_bob = a_read;
  as_bob["agent"] = "bob";
  f.call_tool("sluice_read", as_bob);
  CHECK(f.methods->calls.back().params["agent"] == "bob");
  std::string long_name(255, 'x');
  f.ask("initialize", initialize("2025-06-18", long_name + "\u20ac\u20ac"));
  f.call_tool("sluice_read", a_read);
  CHECK(f.methods->calls.back().params["agent"] == long_name);
}

TEST_CASE("mcp: a failure is a result that has the error and the remedy for the model") {
  mcp_client f;
  auto fails = [&](errc code, outcome end, uint32_t retry_after_ms = 0) {
    failure error;
    error.code = code;
    error.outcome = end;
    error.message = "the very reason";
    error.retry_after_ms = retry_after_ms;
    f.methods->always = rpc::answer{nullptr, rpc::error_of(error)};
    auto result = f.call_tool("sluice_write", a_write)["result"];
    CHECK(result["isError"] == true);
    CHECK_FALSE(result.contains("structuredContent"));
    return result["content"][0]["text"].get<std::string>();
  };
  CHECK_THAT(fails(errc::constraint, outcome::not_committed),
             Contains("constraint: the very reason") && Contains("not_committed") && Contains("correct the call"));
  CHECK_THAT(fails(errc::unavailable, outcome::unknown), Contains("unknown") && Contains("repeat the very same call"));
  CHECK_THAT(fails(errc::overloaded, outcome::not_committed, 250), Contains("try again") && Contains("250 ms"));
  for (const auto& [code, word] : detail::errc_names)
    CHECK_THAT(fails(code, outcome::not_committed), Contains(std::string{word} + ": ") && Contains("What to do: "));
}

TEST_CASE("mcp: arguments that a tool does not accept are an error that the model can correct") {
  mcp_client f;
  auto arguments = a_read;
  arguments["request_id"] = "r";
  auto result = f.call_tool("sluice_read", arguments)["result"];
  CHECK(result["isError"] == true);
  CHECK_THAT(result["content"][0]["text"].get<std::string>(), Contains("\"request_id\""));
  CHECK(f.methods->calls.empty());
}

TEST_CASE("mcp: a call of an unknown tool is an error of the params") {
  mcp_client f;
  for (const auto* name : {"sluice_drop", "Drop", "drop-all", ""}) {
    auto unknown = f.call_tool(name, json::object());
    CHECK(unknown["error"]["code"] == rpc::invalid_params);
    CHECK_THAT(unknown["error"]["message"].get<std::string>(), Contains(name));
  }
  for (const auto* params : {"{}", "[]", R"({"name":1})", R"({"name":"sluice_read","arguments":[1]})",
                             R"({"name":"sluice_read","arguments":"x"})"})
    CHECK(f.ask("tools/call", json::parse(params))["error"]["code"] == rpc::invalid_params);
  CHECK(f.methods->calls.empty());
}

TEST_CASE("mcp: operations are tools, and their calls are calls of the method") {
  mcp_client f;
  f.methods->always = rpc::answer{
    json{{"operations",
          json::array({{{"name", "add_note"}, {"description", "Adds"}, {"db", "app.db"}, {"inputSchema", 1}}})}},
    {}};
  auto tools = f.ask("tools/list")["result"]["tools"];
  CHECK(tools.back() == json{{"name", "add_note"}, {"description", "Adds"}, {"inputSchema", 1}});
  CHECK(f.methods->calls.back().method == "operations");
  CHECK(f.methods->calls.back().params == json{{"agent", "mcp"}});

  f.methods->always = rpc::answer{json{{"rows", json::array()}}, {}};
  auto result = f.call_tool("add_note", {{"text", "x"}, {"stars", nullptr}})["result"];
  CHECK((result["isError"] == false && result["structuredContent"] == json{{"rows", json::array()}}));
  const auto& made = f.methods->calls.back();
  CHECK(made.method == "call");
  CHECK((made.params["operation"] == "add_note" && made.params["params"] == json{{"text", "x"}, {"stars", nullptr}}));

  f.methods->always = rpc::answer{nullptr, rpc::error_of(make_failure(errc::unknown_operation, "no such operation"))};
  auto unknown = f.call_tool("drop_everything", json::object());
  CHECK(unknown["error"]["code"] == rpc::invalid_params);
  CHECK_THAT(unknown["error"]["message"].get<std::string>(), Contains("drop_everything"));
  f.methods->always = rpc::answer{nullptr, rpc::error_of(make_failure(errc::conflict, "changed 0 rows"))};
  CHECK(f.call_tool("add_note", json::object())["result"]["isError"] == true);
}

TEST_CASE("mcp: of the other tools only those are listed that the broker names for the agent") {
  mcp_client f;
  auto listed = [&](const json& tools) {
    f.methods->always = rpc::answer{json{{"operations", json::array()}, {"tools", tools}}, {}};
    std::vector<std::string> names;
    auto answered = f.ask("tools/list");
    for (const auto& tool : answered["result"]["tools"])
      names.push_back(tool["name"]);
    return names;
  };
  CHECK(listed(json::array()).empty());
  f.methods->always = rpc::answer{nullptr, rpc::error_of(make_failure(errc::not_authorized, "not this name"))};
  CHECK(f.ask("tools/list")["result"]["tools"].empty());
  CHECK(listed({"sluice_read"}) == std::vector<std::string>{"sluice_read"});
  CHECK(listed({"sluice_status", "sluice_write", "sluice_other"})
        == std::vector<std::string>{"sluice_write", "sluice_status"});
}

TEST_CASE("mcp: a read-only server lists no tool that writes") {
  mcp_client f{{.version = "1", .read_only = true}};
  auto operation = [](const char* name, bool reads) {
    return json{{"name", name}, {"annotations", {{"readOnlyHint", reads}}}};
  };
  f.methods->always = rpc::answer{json{{"operations", {operation("find", true), operation("add", false)}}}, {}};
  std::vector<std::string> names;
  auto answered = f.ask("tools/list");
  for (const auto& tool : answered["result"]["tools"])
    names.push_back(tool["name"]);
  CHECK(names == std::vector<std::string>{"sluice_read", "sluice_schema", "sluice_status", "find"});
}

TEST_CASE("mcp: a server for one agent sends nothing in another name") {
  mcp_client f{{.version = "1", .agent = "planner", .is_bound = true}};
  f.ask("initialize", initialize("2025-06-18", "boss"));
  auto read = a_read;
  read["agent"] = "boss";
  for (auto [tool, arguments] : {std::pair{"sluice_read", read}, std::pair{"add_note", json{{"agent", "boss"}}},
                                 std::pair{"sluice_status", json::object()}}) {
    f.call_tool(tool, arguments);
    CHECK(f.methods->calls.back().params["agent"] == "planner");
  }
  f.ask("tools/list");
  CHECK(f.methods->calls.back().params == json{{"agent", "planner"}});
}

TEST_CASE("mcp: a mistake in the operation files, and an operation that does not fit, are in the descriptions") {
  mcp_client f;
  json add{{"name", "add_note"}, {"description", "Adds"}, {"schema", "fits"}};
  json gone{{"name", "gone"},
            {"description", "Reads"},
            {"schema", "does_not_fit"},
            {"schema_reason", "a.sql:3: no such table"}};
  auto described = [&](const json& listed) {
    f.methods->always = rpc::answer{listed, {}};
    std::map<std::string, std::string> result;
    auto answered = f.ask("tools/list");
    for (const auto& tool : answered["result"]["tools"])
      result[tool["name"]] = tool["description"];
    return result;
  };
  auto good = described({{"operations", {add, gone}}});
  CHECK(good["add_note"] == "Adds");
  CHECK_THAT(good["gone"], Contains("Reads\n\nCalls of this tool fail") && Contains("a.sql:3: no such table"));
  auto bad = described({{"operations", {add}}, {"mistake", "a.sql:7: there is no annotation"}});
  CHECK_THAT(bad["add_note"], Contains("as it was before: a.sql:7: there is no annotation"));
  CHECK_THAT(bad["sluice_schema"], Contains("not in force: a.sql:7"));
  CHECK(bad["sluice_read"] == good["sluice_read"]);
}

TEST_CASE("mcp: arguments may be left out") {
  mcp_client f;
  f.methods->always = rpc::answer{json::object(), {}};
  CHECK(f.ask("tools/call", {{"name", "sluice_status"}})["result"]["isError"] == false);
}

TEST_CASE("mcp: other methods are passed through only where allowed") {
  mcp_client closed;
  for (const auto* method : {"echo", "resources/list", "prompts/list", "write"})
    CHECK(closed.ask(method)["error"]["code"] == rpc::method_not_found);
  CHECK(closed.methods->calls.empty());
  mcp_client open{{"1", "mcp", true}};
  CHECK(open.ask("echo", {{"a", 1}})["result"] == json::parse(R"({"a":1})"));
  CHECK(open.ask("ping", {{"a", 1}})["result"] == json::object());
}

namespace {

// Methods whose reads and writes wait for the test.
class slow_port : public rpc::handler {
public:
  std::vector<std::pair<std::string, json>>* calls;
  std::vector<rpc::answer_to>* waiting;

  void call(const std::string& method, json params, rpc::answer_to done) override {
    calls->emplace_back(method, std::move(params));
    if (method == "cancel")
      done({json::object(), {}});
    else
      waiting->push_back(std::move(done));
  }
};

} // namespace

TEST_CASE("mcp: a cancelled call is cancelled at the backend under its request id there") {
  mcp_client f;
  std::vector<std::pair<std::string, json>> calls;
  std::vector<rpc::answer_to> waiting;
  auto slow = std::make_unique<slow_port>();
  slow->calls = &calls;
  slow->waiting = &waiting;
  f.aut = rpc::make_mcp(std::move(slow), {"1", "mcp", false});
  auto call = [&](const json& id) {
    f.send(f.request("tools/call", {{"name", "sluice_read"}, {"arguments", a_read}}, id));
  };
  call(7);
  call("7");
  REQUIRE(calls.size() == 2);
  f.notify("notifications/cancelled", {{"requestId", "7"}, {"reason", "enough"}});
  REQUIRE(calls.size() == 3);
  CHECK(calls[2].first == "cancel");
  CHECK(calls[2].second == json{{"request_id", calls[1].second["request_id"]}});
  for (const auto& unknown : {json(8), json(nullptr), json::object()})
    f.notify("notifications/cancelled", {{"requestId", unknown}});
  f.notify("notifications/cancelled", json::array());
  CHECK(calls.size() == 3);
  waiting[0]({json::object(), {}});
  waiting[1]({json::object(), {}});
  CHECK(f.answers.size() == 2);
  f.notify("notifications/cancelled", {{"requestId", 7}});
  CHECK(calls.size() == 3);
}

} // namespace sluice::test::mcp_test
