#include "messages/error.hpp"
#include "runtime/lab/scenario/runner.hpp"

#include <catch2/catch.hpp>

#include <deque>

namespace sluice::test::scenario_play_test {

namespace {

using namespace sluice::scenario;
using nlohmann::json;
using std::chrono::milliseconds;

// A backend that answers from a script, on a clock that advances only when nothing else is ready.
class scripted_backend final : public backend {
public:
  std::string_view name() const override { return "a script"; }

  std::optional<std::string> unsupported_reason(std::string_view kind) const override {
    return kind == "kill" ? std::optional<std::string>{"nothing is alive"} : std::nullopt;
  }

  std::optional<setup_error> prepare(const setup&) override {
    if (broken)
      return setup_error{make_error(*broken, "no such column"), {3, 7}};
    return std::nullopt;
  }

  milliseconds now() const override { return now_; }

  void after(milliseconds time, std::function<void()> done) override { timers_.emplace(now_ + time, std::move(done)); }

  void call(const std::string& agent, std::string_view method, json params, on_answer done) override {
    calls.push_back({{"agent", agent}, {"method", method}, {"params", std::move(params)}});
    if (answers.empty())
      return;
    auto next = answers.front();
    answers.pop_front();
    after(milliseconds{5}, [done, next] {
      if (!next.contains("code"))
        return done(next);
      failure error;
      error.code = errc::busy;
      error.message = "locked";
      error.attempts = 4;
      done(make_error(std::move(error)));
    });
  }

  void subscribe(const std::string&, json, on_answer done, notification_handler notify) override {
    after(milliseconds{0}, [done, notify] {
      done(json{{"subscription", 1}});
      notify({{"commit_seq", 1}});
      notify({{"reason", "the connection was lost"}});
    });
  }

  void act(std::string_view, json, on_answer done) override { done(json::object()); }

  bool pump() override {
    if (timers_.empty())
      return false;
    auto at = timers_.begin();
    now_ = std::max(now_, at->first);
    auto act = std::move(at->second);
    timers_.erase(at);
    act();
    return true;
  }

  std::optional<errc> broken;
  std::deque<json> answers;
  std::vector<json> calls;

private:
  milliseconds now_{0};
  std::multimap<milliseconds, std::function<void()>> timers_;
};

const json committed = json::parse(R"({"outcome":"committed","replayed":false,"commit_seq":7,"results":[]})");
const json some_rows = json::parse(R"({"columns":["a"],"rows":[[1,"one"],[2,null]],"source":"cache"})");
const json locked{{"code", "busy"}};

report run_steps(const std::string& steps, std::deque<json> answers, scripted_backend* backend = nullptr) {
  auto result = parse_scenario("name: x\nsteps:\n" + steps);
  if (auto* wrong = std::get_if<wrong_file>(&result))
    FAIL(wrong->text);
  scripted_backend default_backend;
  auto& used_backend = backend ? *backend : default_backend;
  used_backend.answers = std::move(answers);
  return run(std::get<definition>(result), used_backend);
}

struct expectation_case {
  const char* step;
  const char* expect;
  json answer;
  // The expected complaint; empty if the expectation is met.
  const char* complaint;
};

const std::string a_write = "write: {db: a, sql: x}";
const std::string a_read = "read: {db: a, sql: x}";

} // namespace

TEST_CASE("each kind of expectation can be met and can fail", "[scenario]") {
  const std::vector<expectation_case> cases{
    {"write: {db: a, sql: x}", "{outcome: committed, replayed: false}", committed, ""},
    {"write: {db: a, sql: x}", "{replayed: true}", committed, "write by someone: expected replayed: true, got false"},
    {"write: {db: a, sql: x}", "{commit_seq: 7.0}", committed, "expected commit_seq: 7.0, got 7"},
    {"write: {db: a, sql: x}", "{commit_seq: {$min: 7, $max: 7}}", committed, ""},
    {"write: {db: a, sql: x}", "{commit_seq: {$min: 8}}", committed, "expected commit_seq to be at least 8, got 7"},
    {"write: {db: a, sql: x}", "{commit_seq: {$max: 6}}", committed, "expected commit_seq to be at most 6, got 7"},
    {"write: {db: a, sql: x}", "{took_ms: {$max: 4}}", committed, "expected took_ms to be at most 4, got 5"},
    {"write: {db: a, sql: x}", "{error: busy, outcome: not_committed, attempts: 4}", locked, ""},
    {"write: {db: a, sql: x}", "{error: constraint}", locked, "expected error: \"constraint\", got \"busy\""},
    {"write: {db: a, sql: x}", "{error: {$one_of: [busy, constraint]}}", locked, ""},
    {"write: {db: a, sql: x}", "{error: busy, outcome: unknown}", locked, "expected outcome: \"unknown\", got"},
    {"write: {db: a, sql: x}", "{error: busy}", committed, "to fail with \"busy\", but it succeeded"},
    {"write: {db: a, sql: x}", "{outcome: committed}", locked, "write by someone failed: busy: locked (not_committed)"},
    {"write: {db: a, sql: x}", "{request_id: r}", committed, "expected request_id, but there is no such member"},
    {"write: {db: a, sql: x}", "{request_id: {$exists: false}, commit_seq: {$exists: true}}", committed, ""},
    {"write: {db: a, sql: x}", "{commit_seq: {$exists: false}}", committed, "expected no commit_seq, got 7"},
    {"write: {db: a, sql: x}", "{request_id: {$exists: true}}", committed, "there is no such member"},
    {"read: {db: a, sql: x}", "{rows: [[1, one], [2, null]]}", some_rows, ""},
    {"read: {db: a, sql: x}", "{rows: [[1, one]]}", some_rows, "expected rows to have 1 item, got 2"},
    {"read: {db: a, sql: x}", "{rows: [[1, two], [2, null]]}", some_rows, "expected rows[0][1]: \"two\", got \"one\""},
    {"read: {db: a, sql: x}", "{rows: [[2, null], [1, one]]}", some_rows, "expected rows[0][0]: 2, got 1"},
    {"read: {db: a, sql: x}", "{rows: {a: 1}}", some_rows, "expected rows to be a map"},
    {"read: {db: a, sql: x}", "{source: [cache]}", some_rows, "expected source to be a list, got \"cache\""},
    {"read: {db: a, sql: x}", "{rows: {$any_order: [[2, null], [1, one]]}}", some_rows, ""},
    {"read: {db: a, sql: x}", "{rows: {$any_order: [[2, null], [2, null]]}}", some_rows, "to be a list with"},
    {"read: {db: a, sql: x}", "{rows: {$any_order: [[2, null]]}}", some_rows, "1 items, in any order"},
    {"read: {db: a, sql: x}", "{rows: {$has: [[2, null]]}}", some_rows, ""},
    {"read: {db: a, sql: x}", "{rows: {$has: [[3, null]]}}", some_rows, "to be a list with [3,null]"},
    {"read: {db: a, sql: x}", "{rows: {$size: 2}}", some_rows, ""},
    {"read: {db: a, sql: x}", "{rows: {$size: 3}}", some_rows, "a list of 3 items"},
    {"read: {db: a, sql: x}", "{source: {$contains: ach}}", some_rows, ""},
    {"read: {db: a, sql: x}", "{source: {$contains: disk}}", some_rows, "a text with \"disk\" in it"},
    {"read: {db: a, sql: x}", "{source: {$one_of: [database, joined]}}", some_rows, "one of [\"database\",\"joined\"]"},
    {"read: {db: a, sql: x}", "{source: {$not: database}}", some_rows, ""},
    {"read: {db: a, sql: x}", "{source: {$not: cache}}", some_rows, "anything but \"cache\", got \"cache\""},
    {"status:", "{totals: {comits: 1}}", json{{"totals", {{"commits", 1}}}},
     "totals.comits, but there is no such member; "
     "did you mean commits?"},
    {"status:", "{retry: {failures: 0}}", json{{"retry", {{"failures", 1}}}}, "expected retry.failures: 0, got 1"},
    {"audit.verify:", "{intact: true}", json{{"intact", false}}, "expected intact: true, got false"},
    {"audit.list:", "{records: [{agent: a}]}", json{{"records", {{{"agent", "b"}}}}},
     "records[0].agent: \"a\", got \"b\""},
  };
  for (const auto& each : cases) {
    auto went = run_steps("  - " + std::string{each.step} + "\n    expect: " + each.expect + "\n", {each.answer});
    INFO(each.step << " expects " << each.expect);
    if (!*each.complaint) {
      CHECK(went.status == report::end::passed);
      continue;
    }
    CHECK(went.status == report::end::failed);
    REQUIRE_FALSE(went.complaints.empty());
    INFO(went.complaints[0].text);
    CHECK(went.complaints[0].text.find(each.complaint) != std::string::npos);
    CHECK((went.complaints[0].at.line == 4 || went.complaints[0].at.line == 3));
  }
}

TEST_CASE("a step without an expectation must succeed", "[scenario]") {
  auto went = run_steps("  - " + a_write + "\n", {locked});
  CHECK(went.status == report::end::failed);
  CHECK(went.complaints.at(0).at.line == 3);
}

TEST_CASE("a scenario ends with the first step that fails", "[scenario]") {
  scripted_backend backend;
  run_steps("  - " + a_write + "\n  - " + a_read + "\n", {locked, some_rows}, &backend);
  CHECK(backend.calls.size() == 1);
}

TEST_CASE("requests have the form of the protocol", "[scenario]") {
  scripted_backend backend;
  auto went = run_steps("  - agent: alice\n    write: {db: a, sql: x, params: [1], idempotency_key: k}\n    as: w\n"
                        "  - read: {db: a, sql: y, min_seq: $(w.commit_seq)}\n"
                        "  - audit.list: {agent: alice}\n",
                        {committed, some_rows, json{{"records", json::array()}}}, &backend);
  CHECK(went.status == report::end::passed);
  CHECK(backend.calls.at(0)
        == json::parse(R"({"agent": "alice", "method": "write", "params": {"db": "a", "agent": "alice",
                           "idempotency_key": "k", "statements": [{"sql": "x", "params": [1]}]}})"));
  CHECK(backend.calls.at(1)["params"] == json::parse(R"({"db": "a", "sql": "y", "min_seq": 7, "agent": "someone"})"));
  CHECK(backend.calls.at(2)["params"] == json::parse(R"({"agent": "alice"})"));
}

TEST_CASE("parallel steps begin at once, and all of them are waited for", "[scenario]") {
  scripted_backend backend;
  auto went = run_steps("  - parallel:\n      - " + a_write + "\n      - " + a_read + "\n      - " + a_write + "\n",
                        {locked, some_rows, locked}, &backend);
  CHECK(backend.calls.size() == 3);
  CHECK(went.took == milliseconds{5});
  CHECK(went.complaints.size() == 2);
  CHECK(went.complaints[0].at.line == 4);
  CHECK(went.complaints[1].at.line == 6);
}

TEST_CASE("a repeat counts from one", "[scenario]") {
  for (const auto* at_once : {"false", "true"}) {
    scripted_backend backend;
    std::deque<json> answers(3, committed);
    auto went = run_steps(std::string{"  - repeat:\n      times: 3\n      as: i\n      at_once: "} + at_once
                            + "\n      steps: [write: {db: a, sql: x, params: [$(i), n-$(i)]}]\n",
                          answers, &backend);
    CHECK(went.status == report::end::passed);
    CHECK(went.took == milliseconds{std::string{at_once} == "true" ? 5 : 15});
    REQUIRE(backend.calls.size() == 3);
    CHECK(backend.calls[2]["params"]["statements"][0]["params"] == json::parse(R"([3, "n-3"])"));
  }
}

TEST_CASE("a long repeat of steps that end at once does not run out of stack", "[scenario]") {
  auto went = run_steps("  - repeat: {times: 10000, steps: [disk.heal: ]}\n", {});
  CHECK(went.status == report::end::passed);
}

TEST_CASE("a wait repeats its step until the expectation is met or the time is over", "[scenario]") {
  const std::string step = "  - wait:\n      within_ms: 100\n      until:\n        ping:\n        expect: {pid: 2}\n";
  CHECK(run_steps(step, {json{{"pid", 1}}, json{{"pid", 1}}, json{{"pid", 2}}}).status == report::end::passed);
  auto late = run_steps(step, std::deque<json>(50, json{{"pid", 1}}));
  CHECK(late.status == report::end::failed);
  CHECK(late.complaints.at(0).text == "not within 100 ms: ping by someone: expected pid: 2, got 1");
  CHECK(late.took >= milliseconds{100});
  CHECK(run_steps("  - wait: {for_ms: 250}\n", {}).took == milliseconds{250});
}

TEST_CASE("the step order checks the order of commits", "[scenario]") {
  const std::string steps = "  - {" + a_write + ", as: a}\n  - {" + a_write + ", as: b}\n";
  auto later = committed;
  later["commit_seq"] = 8;
  CHECK(run_steps(steps + "  - order: [a, b]\n", {committed, later}).status == report::end::passed);
  auto wrong = run_steps(steps + "  - order: [b, a]\n", {committed, later});
  CHECK(wrong.complaints.at(0).text.find("expected b before a, but they are the commits 8 and 7") != std::string::npos);
  CHECK(run_steps("  - order: [nothing]\n", {}).status == report::end::failed);
}

TEST_CASE("notifications of a subscription can be expected", "[scenario]") {
  const std::string steps =
    "  - {subscribe: {db: a}, as: w}\n  - wait: {for_ms: 1}\n  - invalidations: w\n    expect: ";
  CHECK(run_steps(steps + "{lost: true, invalidations: [{commit_seq: 1}]}\n", {}).status == report::end::passed);
  CHECK(run_steps(steps + "{lost: false}\n", {}).status == report::end::failed);
  CHECK(run_steps(steps + "{invalidations: []}\n", {}).status == report::end::failed);
}

TEST_CASE("a scenario that needs a step which the backend cannot run is skipped, with the reason", "[scenario]") {
  scripted_backend backend;
  auto went = run_steps("  - ping:\n  - parallel: [kill: cache]\n", {json::object()}, &backend);
  CHECK(went.status == report::end::skipped);
  CHECK(went.complaints.at(0).text == "needs kill, which a script cannot do: nothing is alive");
  CHECK(went.complaints.at(0).at.line == 4);
  CHECK(backend.calls.empty());
}

TEST_CASE("setup errors are reported separately from failed expectations", "[scenario]") {
  scripted_backend backend;
  backend.broken = errc::sql_error;
  auto went = run_steps("  - ping:\n", {}, &backend);
  CHECK(went.status == report::end::unusable);
  CHECK(went.complaints.at(0).at.line == 3);
  CHECK(went.complaints.at(0).text == "sql_error: no such column");
  backend.broken = errc::io_error;
  CHECK(run_steps("  - ping:\n", {}, &backend).status == report::end::failed);
}

TEST_CASE("a scenario that hangs ends at the time limit", "[scenario]") {
  auto went = run_steps("  - ping:\n", {});
  CHECK(went.status == report::end::failed);
  CHECK(went.complaints.at(0).text == "not at its end after 60000 ms");
}

} // namespace sluice::test::scenario_play_test
