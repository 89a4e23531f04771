#include "tests/runtime/client/client_fixture.hpp"

#include <set>

namespace sluice::test::remote_client_test {

using Catch::Contains;

TEST_CASE("writes, reads and their answers are transferred unchanged") {
  client_fixture r;
  auto leader = r.lead([](const json& request, fake_connection& from) {
    if (request.at("method") == "read")
      return from.answer(request, test::one_row(5));
    from.answer(request, committed(7, true));
  });
  auto result = r.open();
  auto request = insert();
  request.idempotency_key = "mine";
  auto written = result->write(request);
  REQUIRE(written);
  CHECK(written->commit_seq == 7);
  CHECK(written->replayed);
  auto read = result->read(select());
  REQUIRE(read);
  CHECK(*read->rows->at(0, 0).integer() == 5);
  CHECK(result->write_async(request).get()->commit_seq == 7);
  CHECK(*result->read_async(select()).get()->rows->at(0, 0).integer() == 5);
  auto asked = leader->requests();
  CHECK(params(asked[0]).at("idempotency_key") == "mine");
  // The remaining time.
  CHECK(params(asked[0]).at("deadline_ms") <= 20'000);
  CHECK(params(asked[0]).at("deadline_ms") > 0);
  CHECK(params(asked[0]).at("agent") == "alice");
  CHECK(params(asked[1]).at("sql") == "SELECT n FROM t");
  CHECK(leader->connections() == 1);
  CHECK(leader->greetings() == 1);
}

TEST_CASE("values of any bytes are sent, and anything else that is not UTF-8 is refused before it is sent") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead(after(0, {}));
  auto result = r.open();
  auto fine = insert();
  fine.statements[0].params = {"caf\xe9"};
  CHECK(write_by(waiting, *result, fine));
  CHECK(params(leader->requests().back()).at("statements")[0].at("params") == json::parse(R"([{"$text":"Y2Fm6Q=="}])"));
  auto changed_sql = insert();
  changed_sql.statements[0].sql = "INSERT INTO t VALUES ('caf\xe9')";
  auto changed_agent = insert();
  changed_agent.agent = "\xff";
  for (const auto& [request, field] : {std::pair{changed_sql, "statements[0].sql"}, {changed_agent, "agent"}}) {
    auto refused = failure_of(write_by(waiting, *result, request));
    CHECK(refused.code == errc::invalid_request);
    CHECK(refused.outcome == outcome::not_committed);
    CHECK_THAT(refused.message, Catch::StartsWith(field) && Contains("UTF-8"));
  }
  CHECK(leader->requests().size() == 1);
}

TEST_CASE("writes without a key get one, unless that is switched off") {
  client_fixture r;
  auto leader = r.lead(after(0, {}));
  {
    auto result = r.open();
    auto other = r.open();
    CHECK(result->write(insert()));
    CHECK(result->write_async(insert()).get());
    CHECK(other->write(insert()));
    CHECK(result->call("write", {{"db", "app.db"}, {"statements", {{{"sql", "DELETE FROM t"}}}}}));
  }
  std::set<std::string> keys;
  for (const auto& asked : leader->requests())
    keys.insert(params(asked).at("idempotency_key").get<std::string>());
  CHECK(keys.size() == 4);
  for (const auto& key : keys)
    CHECK(key.starts_with("auto-"));
  auto plain = r.open({.add_keys = false});
  CHECK(plain->write(insert()));
  CHECK_FALSE(params(leader->requests().back()).contains("idempotency_key"));
}

TEST_CASE("the leader's own limits apply to requests that set none") {
  client_fixture r;
  auto leader = r.lead(after(0, {}));
  auto result = r.open();
  CHECK(result->write(insert(0ms)));
  CHECK_FALSE(params(leader->requests().back()).contains("deadline_ms"));
}

TEST_CASE("a write whose answer was lost is repeated under the same key, within the rest of its time") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead(after(3, hang_up));
  auto result = r.open();
  auto written = write_by(waiting, *result, insert(20s));
  REQUIRE(written);
  CHECK(written->commit_seq == 7);
  auto asked = leader->requests();
  REQUIRE(asked.size() == 4);
  for (const auto& request : asked) {
    CHECK(params(request).at("idempotency_key") == params(asked[0]).at("idempotency_key"));
    CHECK(params(request).at("statements") == params(asked[0]).at("statements"));
  }
  CHECK(params(asked[3]).at("deadline_ms") < params(asked[0]).at("deadline_ms"));
  CHECK(leader->connections() == 4);
}

TEST_CASE("a leader's successor is asked as soon as it can be reached") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto first = r.lead(hang_up);
  auto result = r.open();
  auto asked = std::async(std::launch::async, [&] { return write_by(waiting, *result, insert()); });
  first->await_requests(1);
  first.reset();
  auto second = r.lead(after(0, {}));
  CHECK(asked.get());
}

TEST_CASE("reads, the status and the audit are requested again after a lost answer") {
  client_fixture r;
  auto leader = r.lead([](const json& request, fake_connection& from) {
    if (from.number() % 2 == 1)
      return from.hang_up();
    if (request.at("method") == "read")
      from.answer(request, test::one_row(5));
    else if (request.at("method") == "audit.list")
      from.answer(request, {{"store_root", "/x"}, {"records", json::array()}});
    else if (request.at("method") == "audit.verify")
      from.answer(request, {{"intact", true}, {"records", 1}, {"broken", 0}, {"head", "00"}});
    else
      from.answer(request, {{"a", 1}});
    from.hang_up();
  });
  auto result = r.open();
  CHECK(result->read(select()));
  CHECK(result->read_async(select()).get());
  CHECK(result->status());
  CHECK(result->audit({}));
  CHECK(result->verify_audit());
  CHECK(result->call("ping", json::object()));
}

TEST_CASE("without a key, a write whose answer was lost is not repeated, and its outcome is unknown") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead(hang_up);
  auto result = r.open({.add_keys = false});
  auto failed = failure_of(write_by(waiting, *result, insert()));
  CHECK(failed.code == errc::unavailable);
  CHECK(failed.outcome == outcome::unknown);
  CHECK(leader->requests().size() == 1);
}

TEST_CASE("without a key, a write that was never sent is repeated") {
  client_fixture r;
  auto first = r.lead(after(0, {}));
  auto result = r.open({.add_keys = false});
  CHECK(result->write(insert()));
  first.reset();
  auto second = r.lead(after(0, {}));
  CHECK(result->write(insert()));
  CHECK(second->requests().size() == 1);
}

TEST_CASE("a method with side effects is not called again when its answer was lost") {
  client_fixture r;
  auto leader = r.lead(hang_up);
  auto result = r.open();
  auto logged = result->call("log", {{"level", "info"}, {"message", "x"}});
  REQUIRE_FALSE(logged);
  CHECK(describe(logged.error()).outcome == outcome::unknown);
  CHECK(leader->requests().size() == 1);
}

TEST_CASE("a cancelled token ends a blocking request by the request id that the leader has") {
  client_fixture r;
  json asked;
  cancel_token token = cancel_token::make();
  auto leader = r.lead([&](const json& request, fake_connection& from) {
    if (request.at("method") == "cancel") {
      CHECK(request.at("params").at("request_id") == asked.at("params").at("request_id"));
      from.answer(request, {{"cancelled", true}});
      from.fail(asked, "cancelled");
      return;
    }
    asked = request;
    token.cancel();
  });
  auto result = r.open();
  auto read = select();
  read.cancel = token;
  auto unread = result->read(read);
  REQUIRE_FALSE(unread);
  CHECK(code_of(unread.error()) == errc::cancelled);
  token = cancel_token::make();
  auto write = insert();
  write.cancel = token;
  write.request_id = "mine";
  CHECK(failure_of(result->write(write)).code == errc::cancelled);
  CHECK(asked.at("params").at("request_id") == "mine");
}

TEST_CASE("silence ends with the deadline and a second of grace, and leaves the outcome unknown") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead([](const json&, fake_connection&) {});
  auto result = r.open();
  auto start = std::chrono::steady_clock::now();
  auto failed = failure_of(write_by(waiting, *result, insert(200ms)));
  auto took = std::chrono::steady_clock::now() - start;
  CHECK(failed.code == errc::deadline_exceeded);
  CHECK(failed.outcome == outcome::unknown);
  CHECK(took >= 1s);
  CHECK(took < 3s);
}

TEST_CASE("a write that was not sent by its deadline is not_committed") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto leader = r.lead(after(0, {}));
  auto result = r.open();
  CHECK(result->write(insert()));
  leader.reset();
  auto failed = failure_of(write_by(waiting, *result, insert(10ms)));
  CHECK(failed.code == errc::deadline_exceeded);
  CHECK(failed.outcome == outcome::not_committed);
}

TEST_CASE("any answer of a leader is final") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  auto code = GENERATE(as<std::string>{}, "constraint", "overloaded", "busy", "unavailable", "deadline_exceeded");
  auto leader = r.lead([&](const json& request, fake_connection& from) {
    from.fail(request, code, {{"retry_after_ms", 50}, {"request_id", "r-1"}});
  });
  auto result = r.open();
  auto failed = failure_of(write_by(waiting, *result, insert()));
  CHECK(to_string(failed.code) == code);
  CHECK(failed.outcome == outcome::not_committed);
  CHECK(failed.retry_after_ms == 50);
  CHECK(failed.request_id == "r-1");
  CHECK(leader->requests().size() == 1);
}

TEST_CASE("a refusal from before the ledger lookup leaves the outcome of an earlier try unknown") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  std::string code;
  auto leader = r.lead([&](const json& request, fake_connection& from) {
    if (from.number() == 1)
      return from.hang_up();
    from.fail(request, code);
  });
  auto result = r.open();
  SECTION("a failure before the ledger was asked") {
    code = "disk_full";
    auto failed = failure_of(write_by(waiting, *result, insert()));
    CHECK(failed.code == errc::disk_full);
    CHECK(failed.outcome == outcome::unknown);
  }
  SECTION("a failure of the statement itself, which is tried only if the ledger does not know the key") {
    code = "constraint";
    auto failed = failure_of(write_by(waiting, *result, insert()));
    CHECK(failed.outcome == outcome::not_committed);
  }
}

TEST_CASE("an overloaded leader is asked again for the outcome of an earlier try") {
  client_fixture r;
  auto waiting = GENERATE(true, false);
  std::atomic<int> asked = 0;
  auto leader = r.lead([&](const json& request, fake_connection& from) {
    switch (++asked) {
    case 1: return from.hang_up();
    case 2:
    case 3: return from.fail(request, "overloaded", {{"retry_after_ms", 1}});
    default: return from.answer(request, committed(7, true));
    }
  });
  auto result = r.open();
  auto written = write_by(waiting, *result, insert());
  REQUIRE(written);
  CHECK(written->replayed);
}

} // namespace sluice::test::remote_client_test
