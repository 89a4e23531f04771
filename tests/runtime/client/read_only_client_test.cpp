#include "runtime/client/read_only_client.hpp"

#include "runtime/sqlite/core/connection.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <future>

namespace sluice::test::read_only_client_test {

namespace {

using namespace std::chrono_literals;

constexpr const char* endless =
  "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c";

read_request request_for(const char* sql, std::chrono::milliseconds timeout) {
  read_request request;
  request.db = "app.db";
  request.agent = "tester";
  request.query.sql = sql_text{sql};
  request.limits.timeout = timeout;
  return request;
}

struct fixture {
  temp_dir folder;
  std::unique_ptr<client> aut;

  fixture() {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    must(
      must(sqlite::connection::open(folder / "app.db", options)).exec("CREATE TABLE t (n); INSERT INTO t VALUES (1)"));
    aut = make_read_only_client(must(store_root::look_up(folder.path())), {}, {});
  }

  // Whether the endless read has the database: other reads wait for it.
  bool is_reading(const std::future<caf::expected<read_result>>& endless_read) {
    for (;;) {
      auto answer = aut->read(request_for("SELECT n FROM t", 20ms));
      if (!answer)
        return code_of(answer.error()) == errc::deadline_exceeded
               && describe(answer.error()).message.find("waited for another read") != std::string::npos;
      if (endless_read.wait_for(0s) == std::future_status::ready)
        return false;
    }
  }
};

} // namespace

TEST_CASE("a change that does not come through a broker is route_required", "[read_only_client]") {
  fixture f;
  write_request request;
  request.db = "app.db";
  request.statements = {{"INSERT INTO t VALUES (2)"}};
  CHECK(failure_of(f.aut->write(request)).code == errc::route_required);
  CHECK(failure_of(f.aut->write_async(request).get()).code == errc::route_required);
  for (const auto* method : {"write", "call", "buffer.put"})
    CHECK(failure_of(f.aut->call(method, {{"db", "app.db"}, {"sql", "INSERT INTO t VALUES (2)"}})).code
          == errc::route_required);
  CHECK(must(f.aut->read(request_for("SELECT count(*) FROM t", 5s))).rows->row(0)[0] == value{int64_t{1}});
}

TEST_CASE("a read waits for another read of its database no longer than its own time-out", "[read_only_client]") {
  fixture f;
  auto request = request_for(endless, 30s);
  request.cancel = cancel_token::make();
  auto endless_read = std::async(std::launch::async, [&] { return f.aut->read(request); });
  CHECK(f.is_reading(endless_read));
  request.cancel.cancel();
  CHECK(code_of(endless_read.get().error()) == errc::cancelled);
  CHECK(f.aut->read(request_for("SELECT n FROM t", 10s)));
}

TEST_CASE("a read that waits for another read can be cancelled", "[read_only_client]") {
  fixture f;
  auto first = request_for(endless, 30s);
  first.cancel = cancel_token::make();
  auto endless_read = f.aut->read_async(first);
  REQUIRE(f.is_reading(endless_read));
  auto second = request_for("SELECT n FROM t", 30s);
  second.cancel = cancel_token::make();
  auto waiting = f.aut->read_async(second);
  second.cancel.cancel();
  CHECK(code_of(waiting.get().error()) == errc::cancelled);
  CHECK(endless_read.wait_for(0s) == std::future_status::timeout);
  first.cancel.cancel();
}

TEST_CASE("an asynchronous read does not run in the thread of its caller", "[read_only_client]") {
  fixture f;
  auto request = request_for(endless, 30s);
  request.cancel = cancel_token::make();
  auto answer = f.aut->read_async(request);
  CHECK(answer.wait_for(0s) == std::future_status::timeout);
  request.cancel.cancel();
  CHECK(code_of(answer.get().error()) == errc::cancelled);
}

TEST_CASE("asynchronous reads beyond a bound are refused, and end with their client", "[read_only_client]") {
  fixture f;
  std::vector<std::future<caf::expected<read_result>>> answers;
  for (auto i = 0; i < 65; ++i)
    answers.push_back(f.aut->read_async(request_for(endless, 60s)));
  CHECK(code_of(answers.back().get().error()) == errc::overloaded);
  answers.pop_back();
  f.aut.reset();
  for (auto& answer : answers)
    CHECK(code_of(answer.get().error()) == errc::cancelled);
}

} // namespace sluice::test::read_only_client_test
