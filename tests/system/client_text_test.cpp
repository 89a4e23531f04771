// The same text gives the same request, or the same refusal, through every interface of the broker.
#include "runtime/client/client.hpp"
#include "runtime/server/front_door.hpp"
#include "tests/system/fixture.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace sluice::test::client_text_test {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Catch::Contains;
using nlohmann::json;

namespace {

const std::string bad = "caf\xe9";

client_options without_program() {
  client_options result;
  result.start_broker = false;
  return result;
}

// A broker with a front door and a client of it, or a client that leads.
struct way_in {
  explicit way_in(bool remote) {
    if (remote) {
      host.emplace(open_broker(folder.path()));
      door = must(front_door::open(*host, {}));
    }
    guest = must(open_client(folder.path(), without_program()));
    must(guest->write(write({"CREATE TABLE t (n, s)", {}})));
  }

  write_request write(statement stmt) const {
    auto result = write_of("guest", {std::move(stmt)});
    result.db = "app.db";
    return result;
  }

  read_request read(sql_text sql, parameters params = {}) const {
    auto result = read_of("guest", std::move(sql));
    result.query.params = std::move(params);
    result.db = "app.db";
    return result;
  }

  temp_dir folder;
  std::optional<broker> host;
  std::unique_ptr<front_door> door;
  std::unique_ptr<client> guest;
};

template <class T> void check_refused(const caf::expected<T>& result) {
  auto error = refused(result);
  CHECK(error.code == errc::invalid_request);
  CHECK(error.outcome == outcome::not_committed);
}

constexpr auto endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c";

} // namespace

TEST_CASE("requests with text that is not UTF-8 are refused, and values are returned unchanged", "[system]") {
  way_in f{GENERATE(true, false)};
  const statement insert{"INSERT INTO t VALUES (:n, :s)", std::vector<named_value>{{"n", 1}, {"s", bad}}};
  must(f.guest->write(f.write(insert)));
  auto kept = must(f.guest->read(f.read("SELECT s, hex(s) FROM t WHERE s = ?", {bad})));
  REQUIRE(kept.rows->size() == 1);
  CHECK(kept.rows->at(0, 0) == value{bad});
  CHECK(kept.rows->at(0, 1) == value{"636166E9"});

  for (auto field : {&write_request::db, &write_request::agent, &write_request::request_id,
                     &write_request::idempotency_key, &write_request::correlation_id}) {
    auto request = f.write(insert);
    request.*field = bad;
    check_refused(f.guest->write(request));
    check_refused(f.guest->write_async(request).get());
  }
  for (auto field :
       {&read_request::db, &read_request::agent, &read_request::request_id, &read_request::correlation_id}) {
    auto request = f.read("SELECT 1");
    request.*field = bad;
    check_refused(f.guest->read(request));
    check_refused(f.guest->read_async(request).get());
    check_refused(f.guest->open_cursor(request));
  }
  check_refused(f.guest->write(f.write({"INSERT INTO t (s) VALUES ('" + bad + "')", {}})));
  check_refused(f.guest->read(f.read("SELECT '" + bad + "'")));
  check_refused(f.guest->open_cursor(f.read("SELECT '" + bad + "'")));
  audit_query query;
  query.agent = bad;
  check_refused(f.guest->audit(query));
  CHECK(*must(f.guest->read(f.read("SELECT count(*) FROM t"))).rows->at(0, 0).integer() == 1);
}

TEST_CASE("ambiguous parameters are refused, and none of them is lost", "[system]") {
  way_in f{GENERATE(true, false)};
  using named = std::vector<named_value>;
  parameters both{1, "one"};
  both.named = {{"n", 1}, {"s", "one"}};
  for (const auto& params : {both, parameters{named{{"n", 1}, {"n", 2}, {"s", "two"}}},
                             parameters{named{{"n", 1}, {bad, "two"}}}, parameters{named{{"n", 1}, {"", "two"}}}}) {
    check_refused(f.guest->write(f.write({"INSERT INTO t VALUES (:n, :s)", params})));
    check_refused(f.guest->write_async(f.write({"INSERT INTO t VALUES (:n, :s)", params})).get());
    check_refused(f.guest->read(f.read("SELECT :n, :s", params)));
    check_refused(f.guest->read_async(f.read("SELECT :n, :s", params)).get());
    check_refused(f.guest->open_cursor(f.read("SELECT :n, :s", params)));
  }
  CHECK(*must(f.guest->read(f.read("SELECT count(*) FROM t"))).rows->at(0, 0).integer() == 0);
}

TEST_CASE("a method of any name does not affect other calls", "[system]") {
  way_in f{GENERATE(true, false)};
  std::vector<std::future<caf::expected<write_result>>> others;
  for (int i = 0; i < 100; ++i)
    others.push_back(f.guest->write_async(f.write({"INSERT INTO t (n) VALUES (?)", {i}})));
  for (const auto& method : {"a\"b"s, "status\",\"params\":{},\"id\":1,\"x\":\""s, "line\nbreak"s, "nul\0"s, ""s,
                             "STATUS"s, "caf\xc3\xa9"s, bad}) {
    INFO(method);
    check_refused(f.guest->call(method, json::object()));
  }
  for (auto& other : others)
    must(answer_of(other));
  CHECK(*must(f.guest->read(f.read("SELECT count(*) FROM t"))).rows->at(0, 0).integer() == 100);
}

TEST_CASE("the parameters of a call are refused, or arrive unchanged", "[system]") {
  way_in f{GENERATE(true, false)};
  auto read = [](json more) {
    json result{{"db", "app.db"}, {"sql", "SELECT ? AS s"}};
    result.update(more);
    return result;
  };
  auto rows = must(f.guest->call("read", read({{"params", {{{"$text", "Y2Fm6Q=="}}}}}))).at("rows");
  CHECK(rows == json::parse(R"([[{"$text":"Y2Fm6Q=="}]])"));
  check_refused(f.guest->call("read", read({{"params", {bad}}})));
  check_refused(f.guest->call("read", read({{bad, 1}})));
  check_refused(f.guest->call("log", {{"level", "info"}, {"message", bad}}));
  check_refused(
    f.guest->call("buffer.put", {{"db", "app.db"}, {"table", bad}, {"operation", "upsert"}, {"key", {{"n", 1}}}}));
  check_refused(f.guest->call("flush", {{"agent", bad}}));
  for (const auto& params : {json(5), json("text"), json(true), json::array({1}), json(bad)})
    for (const auto* method : {"read", "write", "buffer.put"})
      check_refused(f.guest->call(method, params));
}

TEST_CASE("a token ends the requests of a client that carry it, here and in another process", "[system]") {
  way_in f{GENERATE(true, false)};
  auto token = cancel_token::make();
  auto read = f.read(endless);
  read.limits.timeout = 1min;
  read.cancel = token;
  auto first = f.guest->read_async(read);
  auto second = std::async(std::launch::async, [&] { return f.guest->read(read); });
  auto running = [&] {
    auto status = must(f.guest->status());
    return status.at("running").size();
  };
  await([&] { return running() > 0; });
  token.cancel();
  CHECK(refused(answer_of(first)).code == errc::cancelled);
  CHECK(refused(second.get()).code == errc::cancelled);
  // A request that was cancelled before is not begun.
  auto write = f.write({"INSERT INTO t (n) VALUES (1)", {}});
  write.cancel = token;
  CHECK(refused(f.guest->write(write)).code == errc::cancelled);
  auto unbegun = f.guest->write_async(write);
  CHECK(refused(answer_of(unbegun)).code == errc::cancelled);
  CHECK(*must(f.guest->read(f.read("SELECT count(*) FROM t"))).rows->at(0, 0).integer() == 0);
}

TEST_CASE("a token ends the page of a cursor that is waited for", "[system]") {
  way_in f{GENERATE(true, false)};
  auto read = f.read(endless);
  read.limits.timeout = 1min;
  read.cancel = cancel_token::make();
  auto opened = std::async(std::launch::async, [&] { return f.guest->open_cursor(read); });
  await([&] { return !must(f.guest->status()).at("running").empty(); });
  read.cancel.cancel();
  CHECK(refused(opened.get()).code == errc::cancelled);
}

TEST_CASE("a cursor that is cancelled between its pages is closed", "[system]") {
  way_in f{true};
  auto read = f.read("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100000) SELECT x FROM c");
  read.cancel = cancel_token::make();
  auto opened = must(f.guest->open_cursor(read));
  must(opened->next());
  CHECK(must(f.host->open_cursors()).size() == 1);
  read.cancel.cancel();
  CHECK(refused(opened->next()).code == errc::cancelled);
  opened.reset();
  CHECK(must(f.host->open_cursors()).empty());
}

TEST_CASE("closing a client ends its requests, those with a token of their own, too", "[system]") {
  way_in f{GENERATE(true, false)};
  auto read = f.read(endless);
  read.limits.timeout = 1min;
  read.cancel = cancel_token::make();
  auto under_way = f.guest->read_async(read);
  await([&] { return !must(f.guest->status()).at("running").empty(); });
  f.guest->close();
  CHECK(refused(answer_of(under_way)).code == errc::cancelled);
}

} // namespace sluice::test::client_text_test
