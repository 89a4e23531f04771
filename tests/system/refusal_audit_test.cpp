#include "runtime/client/client.hpp"
#include "runtime/server/front_door.hpp"
#include "runtime/server/rpc/dispatch.hpp"
#include "runtime/server/rpc/mcp.hpp"
#include "runtime/server/service.hpp"
#include "tests/runtime/server/socket_fixture.hpp"
#include "tests/system/fixture.hpp"

#include <nlohmann/json.hpp>

namespace sluice::test::refusal_audit_test {

namespace {

using nlohmann::json;

const json one_row = json::array({{{"sql", "INSERT INTO t VALUES(1)"}}});

struct attempt {
  std::string method;
  json params;
  std::string status;
  // The expected values in the audit.
  std::string db;
};

// The refused requests, by agent.
std::map<std::string, attempt> attempts() {
  json row{{"db", "app.db"}, {"table", "nowhere"}, {"operation", "upsert"}, {"key", {{"k", 1}}}};
  auto outside = row;
  outside["db"] = "../app.db";
  auto values = row;
  values["values"] = 1;
  return {
    {"capsule", {"write", {{"db", "app.db"}, {"statements", one_row}, {"capsule", "x"}}, "capsule_invalid", "app.db"}},
    {"migration", {"migrate", {{"db", "app.db"}, {"name", "1_a.sql"}, {"sql", "VACUUM"}}, "invalid_request", "app.db"}},
    {"migration-sql", {"migrate", {{"db", "app.db"}, {"name", "1_a.sql"}, {"sql", "SELECT x"}}, "sql_error", "app.db"}},
    {"migration-outside",
     {"migrate", {{"db", "../a"}, {"name", "1_a.sql"}, {"sql", "SELECT 1"}}, "invalid_request", ""}},
    {"operation", {"call", {{"operation", "x"}}, "unknown_operation", ""}},
    {"schema", {"schema", {{"db", "../app.db"}}, "invalid_request", ""}},
    {"issue", {"capsule.issue", {{"holder", "a"}, {"tier", "basic"}}, "invalid_request", ""}},
    {"verify", {"capsule.verify", {{"capsule", "x"}}, "capsule_invalid", ""}},
    {"revoke", {"capsule.revoke", {{"capsule", "x"}}, "capsule_invalid", ""}},
    {"proof", {"proof", {{"db", "app.db"}, {"first", 0}}, "invalid_request", "app.db"}},
    {"promote", {"promote", {{"proof", "x"}}, "invalid_request", ""}},
    {"promotions", {"promotions", {{"limit", 0}}, "invalid_request", ""}},
    {"unknown", {"write", {{"db", "app.db"}, {"statements", one_row}, {"x", 1}}, "invalid_request", "app.db"}},
    {"no-statements", {"write", {{"db", "app.db"}}, "invalid_request", "app.db"}},
    {"deadline",
     {"write", {{"db", "app.db"}, {"statements", one_row}, {"deadline_ms", 0}}, "invalid_request", "app.db"}},
    {"outside", {"write", {{"db", "../app.db"}, {"statements", one_row}}, "invalid_request", ""}},
    {"inside", {"write", {{"db", ".sluice/audit.db"}, {"statements", one_row}}, "invalid_request", ".sluice/audit.db"}},
    {"terminal", {"write", {{"db", "a\x1b[2J"}, {"statements", one_row}}, "invalid_request", ""}},
    {"pragma",
     {"write",
      {{"db", "app.db"}, {"statements", {{{"sql", "PRAGMA journal_mode = DELETE"}}}}},
      "invalid_request",
      "app.db"}},
    {"freshness",
     {"read", {{"db", "app.db"}, {"sql", "SELECT 1"}, {"freshness", "stale"}}, "invalid_request", "app.db"}},
    {"read-outside", {"read", {{"db", "/etc/passwd"}, {"sql", "SELECT 1"}}, "invalid_request", ""}},
    {"put-nowhere", {"buffer.put", row, "sql_error", "app.db"}},
    {"put-outside", {"buffer.put", outside, "invalid_request", ""}},
    {"put-values", {"buffer.put", values, "invalid_request", "app.db"}},
    {"get-nowhere",
     {"buffer.get", {{"db", "app.db"}, {"table", "nowhere"}, {"key", {{"k", 1}}}}, "sql_error", "app.db"}},
    {"get-outside", {"buffer.get", {{"db", "../a"}, {"table", "t"}, {"key", {{"k", 1}}}}, "invalid_request", ""}},
    {"flush-outside", {"flush", {{"db", "../app.db"}}, "invalid_request", ""}},
    {"flush-unknown", {"flush", {{"table", 1}}, "invalid_request", ""}},
    {"requeue", {"buffer.requeue", {{"ids", "all"}}, "invalid_request", ""}},
    {"discard", {"buffer.discard", {{"ids", json::array()}}, "invalid_request", ""}},
    {"rejected", {"buffer.rejected", {{"limit", 0}}, "invalid_request", ""}},
    {"cancel", {"cancel", {{"request_id", ""}}, "invalid_request", ""}},
    {"subscribe", {"subscribe", {{"db", "../app.db"}}, "invalid_request", ""}},
    {"unsubscribe", {"unsubscribe", json::object(), "invalid_request", ""}},
    {"hello", {"hello", json::object(), "invalid_request", ""}},
    {"log", {"log", {{"level", "loud"}, {"message", "x"}}, "invalid_request", ""}},
    {"nonsense", {"nonsense", {{"db", "app.db"}}, "invalid_request", "app.db"}},
  };
}

std::vector<audit_record> records_of(const broker& host, const std::string& agent) {
  audit_query query;
  query.agent = agent;
  return must(host.audit(query)).records;
}

struct shared_store {
  shared_store() { must(must(host.open_database("app.db")).write("tester", "CREATE TABLE t(k INTEGER PRIMARY KEY)")); }

  std::filesystem::path socket() const { return folder.path() / ".sluice" / "broker.sock"; }

  void require_recorded(const std::string& agent, const attempt& attempt) const {
    INFO(agent);
    await([&] { return !records_of(host, agent).empty(); });
    auto records = records_of(host, agent);
    REQUIRE(records.size() == 1);
    auto type = request_type_of(attempt.method);
    CHECK(records[0].type == type);
    CHECK(records[0].status == attempt.status);
    CHECK(records[0].db == attempt.db);
    CHECK(records[0].count == 1);
  }

  temp_dir folder;
  broker host = open_broker(folder.path());
  std::unique_ptr<front_door> door = must(front_door::open(host, {}));
};

} // namespace

TEST_CASE("every refused request is audited with its agent, method, database and reason", "[system][audit]") {
  shared_store f;
  raw_line_client guest{f.socket()};
  auto id = 0;
  for (const auto& [agent, attempt] : attempts()) {
    auto params = attempt.params;
    params["agent"] = agent;
    guest.send(request_line(++id, attempt.method, params));
    REQUIRE(guest.answer().contains("error"));
  }
  for (const auto& [agent, attempt] : attempts())
    f.require_recorded(agent, attempt);
}

TEST_CASE("a refused request without a valid agent is audited under its connection's", "[system][audit]") {
  shared_store f;
  raw_line_client guest{f.socket()};
  guest.send(request_line(1, "write", {{"db", "app.db"}, {"statements", one_row}, {"agent", "sluice:buffer"}}));
  auto refused = guest.answer();
  CHECK(refused.at("error").at("data").at("field") == "agent");
  guest.send(request_line(2, "flush", {{"agent", "a\x1b"}}));
  CHECK(guest.answer().contains("error"));
  guest.send(request_line(3, "cancel", {{"request_id", "x"}, {"agent", "SLUICE:x"}}));
  CHECK(guest.answer().contains("error"));
  guest.send(request_line(4, "log", {{"level", "info"}, {"message", "x"}, {"agent", "sluice:x"}}));
  CHECK(guest.answer().contains("error"));
  guest.send("{\n");
  CHECK(guest.answer().contains("error"));
  guest.send("[]\n");
  CHECK(guest.answer().contains("error"));
  guest.send("{\"jsonrpc\":\"2.0\",\"id\":1}\n");
  CHECK(guest.answer().contains("error"));
  audit_query query;
  query.status = "invalid_request";
  await([&] { return must(f.host.audit(query)).records.size() == 7; });
  std::vector<std::string_view> types;
  for (const auto& record : must(f.host.audit(query)).records) {
    CHECK(record.agent.ends_with("@" + std::to_string(getpid())));
    CHECK(record.peer.pid == static_cast<uint32_t>(getpid()));
    types.push_back(to_string(record.type));
  }
  CHECK(types == std::vector<std::string_view>{"write", "flush", "cancel", "log", "other", "other", "other"});
}

TEST_CASE("a call with side effects that is not a write is audited when it is done", "[system][audit]") {
  shared_store f;
  raw_line_client guest{f.socket()};
  auto id = 0;
  for (const auto& [method, params] :
       std::vector<std::pair<std::string, json>>{{"flush", {{"agent", "flush"}}},
                                                 {"buffer.requeue", {{"agent", "requeue"}}},
                                                 {"buffer.discard", {{"agent", "discard"}}},
                                                 {"cancel", {{"request_id", "r"}, {"agent", "cancel"}}},
                                                 {"retry.reset", {{"agent", "reset"}}},
                                                 {"shutdown", {{"agent", "shutdown"}}}}) {
    guest.send(request_line(++id, method, params));
    REQUIRE(guest.answer().contains("result"));
    auto agent = params.at("agent").get<std::string>();
    await([&] { return !records_of(f.host, agent).empty(); });
    auto records = records_of(f.host, agent);
    REQUIRE(records.size() == 1);
    CHECK(to_string(records[0].type) == method);
    CHECK(records[0].status == "ok");
  }
  CHECK(records_of(f.host, "cancel")[0].request_id == "r");
}

TEST_CASE("a tool call that is refused before it becomes a request is audited", "[system][audit]") {
  shared_store f;
  boost::asio::io_context loop{1};
  io_actor_handle actor{f.host.system(), loop};
  broker_info info;
  service methods{f.host, info, loop, *actor.get(), [](std::string_view) {}};
  auto mcp = rpc::make_mcp(methods.open_handler({{}, "user@http", {}}), {.version = "1"});
  auto refused = 0;
  auto call = [&](const json& params) {
    rpc::dispatch(request_line(1, "tools/call", params), *mcp, [&](const std::string& text) {
      auto answer = json::parse(text);
      refused += answer.contains("error") || answer["result"]["isError"] == true;
    });
  };
  call({{"name", "sluice_write"},
        {"arguments", {{"db", "app.db"}, {"statements", one_row}, {"x", 1}, {"agent", "extra"}}}});
  call({{"name", "sluice_nothing"}, {"arguments", {{"agent", "no-tool"}}}});
  call({{"name", "sluice_read"}, {"arguments", {{"db", "app.db"}, {"agent", "no-sql"}}}});
  call({{"name", "sluice_read"}, {"arguments", 1}});
  CHECK(refused == 4);
  for (const auto* agent : {"extra", "no-tool", "no-sql", "mcp"}) {
    INFO(agent);
    await([&] { return records_of(f.host, agent).size() == 1; });
  }
  CHECK(records_of(f.host, "extra")[0].db == "app.db");
  CHECK(records_of(f.host, "extra")[0].type == request_type::write);
  CHECK(records_of(f.host, "no-tool")[0].type == request_type::other);
}

TEST_CASE("refused requests of the host are audited", "[system][audit]") {
  shared_store f;
  auto db = must(f.host.open_database("app.db"));
  CHECK(refused(db.write("sluice:buffer", "INSERT INTO t VALUES(1)")).code == errc::invalid_request);
  CHECK(refused(f.host.open_database("../app.db")).code == errc::invalid_request);
  CHECK(refused(f.host.buffer().requeue({}, "sluice:x")).code == errc::invalid_request);
  must(f.host.buffer().discard({}, "host"));
  flush_request flush;
  flush.db = "../app.db";
  flush.agent = "host";
  CHECK(refused(f.host.buffer().flush(flush)).code == errc::invalid_request);
  std::vector<std::string_view> types;
  await([&] {
    types.clear();
    for (const auto& record : must(f.host.audit({})).records)
      if (record.status == "invalid_request" || record.agent == "host")
        types.push_back(to_string(record.type));
    return types.size() == 5;
  });
  CHECK(types == std::vector<std::string_view>{"write", "open", "buffer.requeue", "buffer.discard", "flush"});
}

TEST_CASE("refused requests of a client that leads in its process are audited", "[system][audit]") {
  temp_dir folder;
  client_options options;
  options.start_broker = false;
  options.warn = [](std::string_view) {};
  auto store = must(open_client(folder.path(), std::move(options)));
  auto sent = 0;
  for (const auto& [agent, attempt] : attempts()) {
    if (attempt.status == "sql_error" || agent == "pragma")
      continue;
    auto params = attempt.params;
    params["agent"] = agent;
    REQUIRE_FALSE(store->call(attempt.method, params));
    ++sent;
  }
  CHECK(must(store->call("audit.refused", {{"agent", "bridge"}, {"status", "busy"}, {"method", "read"}}))
          .contains("recorded"));
  await([&] { return must(store->audit({})).records.size() == static_cast<size_t>(sent) + 1; });
  for (const auto& record : must(store->audit({})).records)
    CHECK((record.agent == "bridge" || attempts().count(record.agent) == 1));
}

TEST_CASE("a flood of refused requests is counted in few records", "[system][audit]") {
  shared_store f;
  raw_line_client guest{f.socket()};
  constexpr auto size = 20'000;
  std::thread flood{[&] {
    for (auto i = 0; i < size; ++i)
      guest.send(request_line(i, "write", {{"db", "app.db"}, {"agent", "flood"}}));
  }};
  for (auto i = 0; i < size; ++i)
    REQUIRE(guest.answer().contains("error"));
  flood.join();
  // Reads page by page: a slow machine spreads the flood over many seconds, each of which may have a thousand records.
  audit_query query;
  query.agent = "flood";
  uint64_t counted = 0;
  await([&] {
    for (const auto& record : must(f.host.audit(query)).records) {
      counted += record.count;
      query.after_seq = record.seq;
    }
    return counted == size;
  });
}

} // namespace sluice::test::refusal_audit_test
