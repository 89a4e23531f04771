#include "runtime/server/rpc/mcp.hpp"
#include "runtime/server/service.hpp"
#include "tests/system/fixture.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <nlohmann/json.hpp>

#include <malloc.h>

namespace sluice::test::leaving_client_test {

namespace {

using nlohmann::json;

// The methods of a broker, on a loop that the test runs, one event at a time.
struct stepped_service {
  // Makes use of freed memory visible, also without a sanitizer.
  stepped_service() { mallopt(M_PERTURB, 0xdb); }
  ~stepped_service() { mallopt(M_PERTURB, 0); }

  std::unique_ptr<rpc::handler> open_handler() {
    return methods.open_handler({{1, 2}, "guest", [](const std::string&, bool) { return true; }});
  }

  std::unique_ptr<rpc::handler> open_mcp() { return rpc::make_mcp(open_handler(), {.version = "1"}); }

  // Makes the call, and destroys the handler after at most `events` events. Returns whether it was answered before.
  bool leave(std::unique_ptr<rpc::handler> handler, size_t events, const std::string& method, const json& params) {
    auto answered = std::make_shared<bool>(false);
    auto gone = std::make_shared<bool>(false);
    handler->call(method, params, [answered, gone](const rpc::answer&) {
      CHECK_FALSE(*gone);
      *answered = true;
    });
    for (size_t i = 0; i < events && !*answered; ++i)
      loop.run_one();
    *gone = true;
    handler.reset();
    return *answered;
  }

  json ask(const std::string& method, const json& params) {
    auto handler = open_handler();
    std::optional<rpc::answer> result;
    handler->call(method, params, [&](rpc::answer x) { result = std::move(x); });
    while (!result)
      loop.run_one();
    if (result->error)
      FAIL(method + ": " + result->error->message);
    return result->text.empty() ? result->result : json::parse(result->text);
  }

  // Runs the loop while it waits.
  template <class Event> void await_event(Event has_come) {
    await([&] {
      loop.poll();
      return has_come();
    });
  }

  // How the request ended; empty as long as it has not.
  std::string end_of(const std::string& request_id) const {
    for (const auto& record : must(host.audit({})).records)
      if (record.request_id == request_id)
        return record.status;
    return {};
  }

  // Waits for the end of a write whose client has left, and returns whether it was committed; else it was not begun.
  bool await_end(const std::string& request_id) {
    await_event([&] { return !end_of(request_id).empty(); });
    auto end = end_of(request_id);
    CHECK((end == "committed" || end == "cancelled"));
    return end == "committed";
  }

  void make_table(const std::string& db) {
    ask("write", {{"db", db},
                  {"statements",
                   {{{"sql", "CREATE TABLE t(k INTEGER PRIMARY KEY, a)"}},
                    {{"sql", "INSERT INTO t VALUES(1, printf('%.*c', 100000, 'x'))"}}}}});
  }

  temp_dir folder;
  broker host = open_broker(folder.path());
  broker_info info;
  boost::asio::io_context loop{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{loop.get_executor()};
  io_actor_handle actor{host.system(), loop};
  service methods{host, info, loop, *actor.get(), [](std::string_view) {}};
};

json write_params(const std::string& db, const std::string& request_id) {
  return {{"db", db},
          {"statements", {{{"sql", "CREATE TABLE IF NOT EXISTS u(a)"}}, {{"sql", "INSERT INTO u VALUES(1)"}}}},
          {"request_id", request_id}};
}

} // namespace

TEST_CASE("a write whose client leaves at any event is audited, and committed or not begun", "[system][leaving]") {
  stepped_service f;
  auto answered = false;
  for (size_t events = 0; !answered; ++events) {
    // The first write opens its database.
    auto name = std::to_string(events);
    answered = f.leave(f.open_handler(), events, "write", write_params(name + ".db", "write-" + name));
    if (f.await_end("write-" + name))
      CHECK(f.ask("read", {{"db", name + ".db"}, {"sql", "SELECT count(*) FROM u"}}).at("rows") == json{{1}});
    else
      CHECK_FALSE(answered);
  }
  auto through_mcp = false;
  for (size_t events = 0; !through_mcp; ++events) {
    auto params = write_params("mcp" + std::to_string(events) + ".db", "");
    params.erase("request_id");
    through_mcp = f.leave(f.open_mcp(), events, "tools/call", {{"name", "sluice_write"}, {"arguments", params}});
    f.await_event([&] {
      audit_query query;
      query.agent = "mcp";
      return must(f.host.audit(query)).records.size() == events + 1;
    });
  }
}

TEST_CASE("a client may leave at every event of every method, without an effect on other clients",
          "[system][leaving]") {
  stepped_service f;
  f.make_table("app.db");
  json row{{"db", "app.db"}, {"table", "t"}, {"key", {{"k", 2}}}};
  auto put = row;
  put["operation"] = "upsert";
  put["values"] = {{"a", 1}};
  auto put_nowhere = put;
  put_nowhere["table"] = "nowhere";
  auto put_outside = put;
  put_outside["db"] = "../app.db";
  auto endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
  const std::vector<std::pair<std::string, json>> calls{
    {"hello", {{"protocol", 1}}},
    {"hello", {{"protocol", 999}}},
    {"ping", json::object()},
    {"operations", json::object()},
    {"schema", json::object()},
    {"schema", {{"db", "../app.db"}}},
    {"call", {{"operation", "none"}}},
    {"migrate", {{"db", "migrated%.db"}, {"name", "1_a.sql"}, {"sql", "CREATE TABLE m(a)"}}},
    {"migrate", {{"db", "app.db"}, {"name", "1_a.sql"}, {"sql", "NONSENSE"}}},
    {"capsule.issue", {{"holder", "a"}, {"tier", "basic"}, {"scopes", {"app.db:a"}}, {"expires_ms", 1'000}}},
    {"capsule.verify", {{"capsule", "x"}}},
    {"capsule.revoke", {{"capsule", "x"}}},
    {"proof", {{"db", "app.db"}, {"first", 1}}},
    {"promote", {{"proof", "x"}}},
    {"promotions", json::object()},
    {"status", json::object()},
    {"write", write_params("app.db", "")},
    {"write", write_params("../app.db", "")},
    {"write", {{"db", "app.db"}, {"statements", {{{"sql", "NONSENSE"}}}}}},
    {"write", {{"db", "app.db"}, {"statements", {{{"sql", "ALTER TABLE u ADD COLUMN b%"}}}}}},
    {"read", {{"db", "app.db"}, {"sql", "SELECT a FROM t"}, {"freshness", "fresh"}}},
    {"read", {{"db", "app.db"}, {"sql", endless}, {"timeout_ms", 50}}},
    {"read", {{"db", "absent%.db"}, {"sql", "SELECT 1"}}},
    {"read", {{"db", "../app.db"}, {"sql", "SELECT 1"}}},
    {"cancel", {{"request_id", "none"}}},
    {"audit.list", json::object()},
    {"audit.verify", json::object()},
    {"audit.refused", {{"status", "busy"}}},
    {"subscribe", {{"db", "app.db"}, {"from_seq", 0}}},
    {"subscribe", {{"db", "sub%.db"}}},
    {"subscribe", {{"db", "../app.db"}}},
    {"unsubscribe", {{"subscription", 1}}},
    {"shutdown", json::object()},
    {"log", {{"level", "info"}, {"message", "m"}}},
    {"logs.recent", json::object()},
    {"retry.reset", json::object()},
    {"buffer.put", put},
    {"buffer.put", put_nowhere},
    {"buffer.put", put_outside},
    {"buffer.get", row},
    {"flush", json::object()},
    {"buffer.rejected", json::object()},
    {"buffer.requeue", json::object()},
    {"buffer.discard", json::object()},
    {"nonsense", json::object()},
  };
  auto number = 0;
  for (const auto& [method, params] : calls) {
    INFO(method);
    auto answered = false;
    for (size_t events = 0; !answered; ++events) {
      // Each call opens a new name.
      auto text = params.dump();
      if (auto at = text.find('%'); at != std::string::npos)
        text.replace(at, 1, std::to_string(++number));
      answered = f.leave(f.open_handler(), events, method, json::parse(text));
      CHECK(f.ask("ping", json::object()).at("pong") == true);
    }
  }
  // The requests of clients that left have ended by then.
  f.ask("flush", json::object());
  CHECK(f.ask("read", {{"db", "app.db"}, {"sql", "SELECT count(*) FROM t"}}).at("rows") == json{{2}});
}

TEST_CASE("a client that leaves with calls under way loses only their answers", "[system][leaving]") {
  stepped_service f;
  for (auto i = 0; i < 20; ++i) {
    auto name = std::to_string(i);
    auto handler = f.open_handler();
    auto gone = std::make_shared<bool>(false);
    for (auto j = 0; j < 5; ++j)
      handler->call("write", write_params(name + ".db", name + "-" + std::to_string(j)),
                    [gone](const rpc::answer&) { CHECK_FALSE(*gone); });
    handler->call("read", {{"db", name + ".db"}, {"sql", "SELECT 1"}}, [](const rpc::answer&) {});
    handler->call("subscribe", {{"db", name + ".db"}}, [](const rpc::answer&) {});
    for (auto events = 0; events < i / 7; ++events)
      f.loop.run_one();
    *gone = true;
  }
  for (auto i = 0; i < 20; ++i) {
    auto done = 0;
    for (auto j = 0; j < 5; ++j)
      done += f.await_end(std::to_string(i) + "-" + std::to_string(j)) ? 1 : 0;
    f.ask("write", write_params(std::to_string(i) + ".db", ""));
    CHECK(f.ask("read", {{"db", std::to_string(i) + ".db"}, {"sql", "SELECT count(*) FROM u"}}).at("rows")
          == json{{done + 1}});
  }
}

} // namespace sluice::test::leaving_client_test
