#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/launcher/quick_call.hpp"
#include "runtime/launcher/result_text.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/sqlite/core/split_statements.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>

namespace sluice::test::quick_command_test {

using namespace sluice::launcher;
using nlohmann::json;

namespace {

std::optional<quick_command> read(std::vector<std::string> words) {
  std::vector<char*> pointers;
  for (auto& word : words)
    pointers.push_back(word.data());
  return read_quick_command(pointers);
}

json params_in(const std::string& line) { return json::parse(line).at("params"); }

} // namespace

TEST_CASE("the launcher sends what the main program sends") {
  auto write = read({"exec", "dir/app.db", " INSERT INTO t VALUES (?, ?);\n", "-p", "5", "-p", "text:7", "--agent",
                     "alice", "--key", "k", "--deadline", "700"});
  REQUIRE(write);
  CHECK(write->root == "dir/");
  write_request request;
  request.db = "app.db";
  request.agent = "alice";
  request.idempotency_key = "k";
  request.deadline = std::chrono::milliseconds{700};
  request.statements.push_back({"INSERT INTO t VALUES (?, ?);", {5, "7"}});
  CHECK(params_in(request_line(*write, write->key)) == rpc::params_of(request));
  auto query = read({"query", "app.db", "SELECT ?", "--param", "null", "--fresh", "--agent", "bob"});
  REQUIRE(query);
  read_request asked;
  asked.db = "app.db";
  asked.agent = "bob";
  asked.query = {"SELECT ?", {nullptr}};
  asked.freshness = freshness::fresh;
  CHECK(params_in(request_line(*query, {})) == rpc::params_of(asked));
}

TEST_CASE("a semicolon in a text or a comment ends no statement") {
  auto sql = GENERATE(values<std::string>({
    "SELECT ';'",
    "DELETE FROM t /* ; -- */ WHERE id=1",
    "UPDATE t SET x=99 --; /*\n WHERE id=2 /* */",
    "insert into t(x) values (1) /*;--*/, (2)",
    "INSERT INTO t(x) VALUES('; -- ')",
    "INSERT INTO t(x) VALUES('; /* ')",
    "SELECT [a;--] FROM t",
    "SELECT `a;--`, \";--\" FROM t",
  }));
  CAPTURE(sql);
  REQUIRE(read({"exec", "app.db", sql}));
  CHECK(read({"exec", "app.db", sql})->sql == sql);
  CHECK(sqlite::split_statements(sql) == std::vector<std::string_view>{sql});
  CHECK(read({"exec", "app.db", " " + sql + "\n; -- end"})->sql == sql + "\n;");
}

TEST_CASE("the launcher leaves all uncertain cases to the main program") {
  auto words = GENERATE(values<std::vector<std::string>>({
    {},
    {"status"},
    {"exec"},
    {"exec", "app.db"},
    {"exec", "app.db", "-"},
    {"exec", "app.db", ""},
    {"exec", "app.db", " -- nothing"},
    {"exec", "app.db", "A; B"},
    {"exec", "app.db", "CREATE TRIGGER x BEGIN A; B; END"},
    {"exec", "app.db", "DELETE FROM t WHERE a = 1; /* ; */ x"},
    {"exec", "app.db", "A", "B"},
    {"exec", "app.db", "A", "--help"},
    {"exec", "app.db", "A", "--csv"},
    {"exec", "app.db", "A", "--json", "--json"},
    {"exec", "app.db", "A", "--key"},
    {"exec", "app.db", "A", "--key", ""},
    {"exec", "app.db", "A", "--key=k"},
    {"exec", "app.db", "A", "--timeout", "5"},
    {"exec", "app.db", "A", "--deadline", "5s"},
    {"exec", "app.db", "A", "--deadline", "0"},
    {"exec", "app.db", "A", "--deadline", "86400001"},
    {"exec", "app.db", "A", "--deadline", "4294967297"},
    {"exec", "app.db", "A", "-p", "name=5"},
    {"exec", "app.db", "A", "-p", "-5"},
    {"exec", "app.db", "A", "-p", "blob:x"},
    {"exec", "app.db", "A", "-p", "99999999999999999999"},
    {"exec", "app.db", "A", "--agent", "\xff"},
    {"exec", "app.db", "\xff"},
    {"exec", "dir/", "A"},
    {"exec", "/tmp", "A"},
    {"query", "app.db", "A", "--json", "--csv"},
    {"query", "app.db", "A", "--key", "k"},
    {"query", "app.db", "A", "--all"},
  }));
  CAPTURE(words);
  CHECK_FALSE(read(words));
}

TEST_CASE("the environment sets the agent, and an endpoint is left to the main program") {
  setenv("SLUICE_AGENT", "carol", 1);
  CHECK(read({"query", "app.db", "A"})->agent == "carol");
  CHECK(read({"query", "app.db", "A", "--agent", "alice"})->agent == "alice");
  unsetenv("SLUICE_AGENT");
  CHECK(read({"query", "app.db", "A"})->agent.empty());
  for (const auto* name : {"SLUICE_AGENT", "SLUICE_CAPSULE"}) {
    setenv(name, "", 1);
    CHECK_FALSE(read({"query", "app.db", "A"}));
    CHECK_FALSE(read({"exec", "app.db", "A", "--agent", "alice"}));
    unsetenv(name);
  }
  setenv("SLUICE_ENDPOINT", "/socket", 1);
  CHECK_FALSE(read({"query", "app.db", "A"}));
  unsetenv("SLUICE_ENDPOINT");
}

TEST_CASE("an answer in another form or of another broker is left to the main program") {
  auto line = GENERATE(values<std::string>({
    "",
    "x",
    "[]",
    R"({"id":1,"jsonrpc":"2.0"})",
    R"({"id":1,"jsonrpc":"2.0","result":{}})",
    R"({"id":1,"jsonrpc":"2.0","result":{"columns":["a"],"rows":[[1,2]],"truncated":false}})",
    R"({"id":1,"jsonrpc":"2.0","result":{"columns":["a"],"rows":[[true]],"truncated":false}})",
    R"({"id":1,"jsonrpc":"2.0","result":{"columns":[{"$text":"/w=="}],"rows":[],"truncated":false}})",
    R"({"error":{"code":-32000,"message":"m","data":{"code":"unavailable","draining":true,"message":"m","outcome":"not_committed"}},"id":1})",
    R"({"error":{"code":-32000,"message":"m","data":{"code":"wrong_store","message":"m","outcome":"not_committed"}},"id":1})",
    R"({"error":{"code":-32000,"message":"m"},"id":1})",
  }));
  CAPTURE(line);
  CHECK_FALSE(output_for(quick_command{}, line, false));
}

TEST_CASE("a refusal is printed as the main program prints it") {
  std::string line =
    R"({"error":{"code":-32602,"message":"m","data":{"code":"invalid_request","field":"db","message":"no\u001b",)"
    R"("outcome":"not_committed"}},"id":1,"jsonrpc":"2.0"})";
  quick_command command;
  command.json = true;
  auto output = output_for(command, line, false);
  REQUIRE(output);
  CHECK(output->status == 1);
  CHECK(output->err == "sluice: invalid_request: no\\x1b\n");
  CHECK(json::parse(output->out)
        == json{{"error", {{"code", "invalid_request"}, {"message", "no\x1b"}, {"outcome", "not_committed"}}}});
}

} // namespace sluice::test::quick_command_test
