#include "runtime/policy/access_policy.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace sluice::test::access_policy_test {

namespace {

access_policy made(policy_rules rules) {
  auto policy = access_policy::make(std::move(rules));
  REQUIRE(policy);
  return std::move(*policy);
}

agent_rule rule(std::string name, tier trust, const std::vector<std::string>& scopes = {}) {
  agent_rule result;
  result.name = std::move(name);
  result.tier = trust;
  for (const auto& scope : scopes)
    result.scopes.push_back(*read_scope(scope));
  return result;
}

access_policy example() {
  return made({{"owner", "admin-*", "core"},
               {rule("planner-*", tier::basic, {"app.db:add_note", "app.db:find_*"}), rule("boss", tier::core)}});
}

principal named(std::string_view agent) { return {agent, 1000, {}, false}; }

principal owner() { return {"ann@17", 1000, {}, true}; }

access_demand call(std::string_view operation, tier needs = tier::basic, std::string_view db = "app.db") {
  return {method_access::operation, operation, db, needs};
}

access_demand method(method_access access, std::string_view name = "write") { return {access, name}; }

std::string refusal(const access_policy& policy, const principal& who, const access_demand& what) {
  return policy.decide(who, what).refusal;
}

} // namespace

TEST_CASE("without a policy everything is allowed to everybody", "[policy]") {
  access_policy open;
  CHECK_FALSE(open.exists());
  for (auto access : {method_access::anyone, method_access::operation, method_access::raw_sql,
                      method_access::observation, method_access::administration})
    CHECK(open.decide(named("anybody"), {access, "x", "app.db", tier::core}).is_allowed());
  CHECK_FALSE(open.permits_grant("anybody", tier::core, {}));
}

TEST_CASE("an agent may call what its scopes cover and its tier suffices for", "[policy]") {
  auto policy = example();
  CHECK(refusal(policy, named("planner-1"), call("add_note")).empty());
  CHECK(refusal(policy, named("planner-1"), call("find_notes", tier::untrusted)).empty());
  CHECK(refusal(policy, named("planner-1"), call("find_notes", tier::verified))
        == "agent 'planner-1' (rule agent[0] 'planner-*', tier basic) may not call 'find_notes', which needs tier "
           "verified");
  CHECK(refusal(policy, named("planner-1"), call("move_note"))
        == "agent 'planner-1' (rule agent[0] 'planner-*', tier basic) may not call 'move_note', because none of its "
           "scopes covers it");
  CHECK_FALSE(refusal(policy, named("planner-1"), call("add_note", tier::basic, "other.db")).empty());
}

TEST_CASE("an agent that no rule names may call nothing", "[policy]") {
  auto policy = example();
  CHECK(
    refusal(policy, named("stranger"), call("add_note", tier::untrusted))
    == "agent 'stranger' (no rule names it: tier untrusted, no scopes) may not call 'add_note', because none of its "
       "scopes covers it");
  CHECK(policy.decide(named("stranger"), method(method_access::anyone, "ping")).is_allowed());
}

TEST_CASE("the owner may do everything, unless a rule names it", "[policy]") {
  auto policy = example();
  for (auto access : {method_access::anyone, method_access::operation, method_access::raw_sql,
                      method_access::observation, method_access::administration})
    CHECK(policy.decide(owner(), {access, "x", "any.db", tier::core}).is_allowed());
  auto strict = made({{"owner"}, {rule("*", tier::basic)}});
  CHECK_FALSE(strict.decide(owner(), method(method_access::raw_sql)).is_allowed());
  CHECK_FALSE(strict.decide(owner(), method(method_access::administration)).is_allowed());
}

TEST_CASE("SQL is for those whom raw_sql has by name or tier", "[policy]") {
  auto policy = example();
  auto sql = method(method_access::raw_sql);
  CHECK(policy.decide(named("admin-1"), sql).is_allowed());
  CHECK(policy.decide(named("boss"), sql).is_allowed());
  CHECK(refusal(policy, named("planner-1"), sql)
        == "agent 'planner-1' (rule agent[0] 'planner-*', tier basic) may not send SQL or rows of its own (write), "
           "which is for raw_sql = [owner, admin-*, core]; call an operation");
  CHECK_FALSE(policy.decide(named("owner"), sql).is_allowed());
  auto nobody = made({{}, {}});
  CHECK_FALSE(nobody.decide(owner(), sql).is_allowed());
  CHECK(nobody.decide(owner(), call("add_note", tier::core)).is_allowed());
  auto verified = made({{"verified"}, {rule("a", tier::basic), rule("b", tier::verified), rule("c", tier::core)}});
  CHECK_FALSE(verified.decide(named("a"), sql).is_allowed());
  CHECK(verified.decide(named("b"), sql).is_allowed());
  CHECK(verified.decide(named("c"), sql).is_allowed());
  CHECK_FALSE(verified.decide(owner(), sql).is_allowed());
}

TEST_CASE("looking at others takes SQL or core, and acting on them takes core", "[policy]") {
  auto policy = example();
  auto look = method(method_access::observation, "status");
  auto act = method(method_access::administration, "shutdown");
  CHECK(policy.decide(named("admin-1"), look).is_allowed());
  CHECK_FALSE(policy.decide(named("admin-1"), act).is_allowed());
  CHECK(policy.decide(named("boss"), look).is_allowed());
  CHECK(policy.decide(named("boss"), act).is_allowed());
  CHECK_FALSE(policy.decide(named("planner-1"), look).is_allowed());
  CHECK(
    refusal(policy, named("planner-1"), act)
    == "agent 'planner-1' (rule agent[0] 'planner-*', tier basic) may not call shutdown, which is for the owner and "
       "tier core");
}

TEST_CASE("a name that a rule binds cannot be used without its uid or its token", "[policy]") {
  auto by_uid = rule("local-*", tier::basic, {"app.db:*"});
  by_uid.uid = 1000;
  auto by_token = rule("remote-*", tier::basic, {"app.db:*"});
  by_token.token = "planner";
  auto policy = made({{"owner", "*"}, {by_uid, by_token}});
  CHECK(policy.decide({"local-1", 1000, {}, false}, call("add_note")).is_allowed());
  CHECK(policy.decide({"remote-1", {}, "planner", false}, call("add_note")).is_allowed());
  for (const auto& who : {principal{"local-1", 1001, {}, false}, principal{"local-1", {}, {}, true},
                          principal{"local-1", {}, "planner", false}, principal{"remote-1", 1000, {}, true},
                          principal{"remote-1", {}, {}, true}, principal{"remote-1", {}, "other", false}})
    for (auto access : {method_access::anyone, method_access::operation, method_access::raw_sql,
                        method_access::observation, method_access::administration})
      CHECK_FALSE(policy.decide(who, {access, "add_note", "app.db", tier::untrusted}).is_allowed());
  CHECK(refusal(policy, {"remote-1", 1000, {}, true}, call("add_note"))
        == "the name 'remote-1' belongs to rule agent[1] 'remote-*', which is for HTTP requests with the token "
           "'planner'; this request is not one of these");
}

TEST_CASE("whoever has an agent's token is nobody else", "[policy]") {
  auto by_token = rule("remote", tier::basic, {"app.db:*"});
  by_token.token = "laptop";
  auto policy = made({{"owner", "admin-*", "remote-*"}, {by_token, rule("boss", tier::core, {"*:*"})}});
  CHECK(policy.decide({"remote", {}, "laptop", false}, call("add_note")).is_allowed());
  for (const auto* name : {"boss", "admin-1", "remote-1", "laptop", "stranger"})
    for (auto access :
         {method_access::anyone, method_access::operation, method_access::raw_sql, method_access::administration})
      CHECK_FALSE(policy.decide({name, {}, "laptop", false}, {access, "add_note", "app.db"}).is_allowed());
  CHECK(refusal(policy, {"stranger", {}, "laptop", false}, call("add_note"))
        == "the token 'laptop' is for the agents of its rules, and none of these rules names 'stranger'");
  CHECK(
    refusal(policy, {"boss", {}, "laptop", false}, call("add_note"))
    == "the name 'boss' belongs to rule agent[1] 'boss', which is for requests without an agent's token; this request "
       "is not one of these");
}

TEST_CASE("an operation that is not there is refused like one that no scope covers", "[policy]") {
  auto policy = made({{"owner"}, {rule("a", tier::basic, {"app.db:*"}), rule("b", tier::core, {"*:find_*"})}});
  auto unknown = [](std::string_view name) { return access_demand{method_access::operation, name}; };
  access_demand others{method_access::operation, "find_x", "other.db"};
  CHECK(refusal(policy, {"a"}, unknown("find_x")) == refusal(policy, {"a"}, others));
  CHECK(policy.decide({"b"}, unknown("find_x")).is_allowed());
  CHECK_FALSE(policy.decide({"b"}, unknown("add_x")).is_allowed());
}

TEST_CASE("the first rule that fits decides", "[policy]") {
  auto special = rule("a-1", tier::core);
  special.uid = 7;
  auto policy = made({{"owner"}, {special, rule("a-*", tier::basic, {"app.db:*"})}});
  CHECK(policy.decide({"a-1", 7, {}, false}, call("x", tier::basic)).rule == 0);
  CHECK(policy.decide({"a-1", 8, {}, false}, call("x", tier::basic)).rule == 1);
  CHECK_FALSE(policy.decide({"a-1", 7, {}, false}, call("x", tier::basic)).is_allowed());
  CHECK(policy.decide({"a-1", 8, {}, false}, call("x", tier::basic)).is_allowed());
}

TEST_CASE("a name is never taken for a pattern", "[policy]") {
  auto policy = example();
  for (const auto* name : {"*", "planner*", "plan*er-1", "PLANNER-1", "planner", "x planner-1", "boss ", "core",
                           "owner", "verified", "', tier core)", "agent[1]"})
    for (auto access : {method_access::operation, method_access::raw_sql, method_access::administration})
      CHECK_FALSE(policy.decide(named(name), {access, "add_note", "app.db", tier::untrusted}).is_allowed());
}

TEST_CASE("a grant stays within some rule of its agent", "[policy]") {
  auto policy = example();
  auto permits = [&](std::string_view agent, tier trust, const std::vector<std::string>& scopes) {
    std::vector<operation_scope> read;
    for (const auto& scope : scopes)
      read.push_back(*read_scope(scope));
    return policy.permits_grant(agent, trust, read).value_or("");
  };
  CHECK(permits("planner-1", tier::basic, {"app.db:add_note", "app.db:find_a*", "app.db:find_*"}).empty());
  CHECK(permits("planner-1", tier::untrusted, {}).empty());
  CHECK(permits("planner-1", tier::verified, {})
        == "agent 'planner-1' (rule agent[0] 'planner-*', tier basic) cannot be granted tier verified");
  CHECK(permits("planner-1", tier::basic, {"app.db:fin*"})
        == "agent 'planner-1' (rule agent[0] 'planner-*', tier basic) cannot be granted the scope app.db:fin*, which "
           "none of its own covers");
  CHECK_FALSE(permits("planner-1", tier::basic, {"*:find_notes"}).empty());
  CHECK(permits("stranger", tier::untrusted, {})
        == "agent 'stranger' cannot be granted anything, because no rule of the policy names it");
}

TEST_CASE("the hash is that of what decides, not of how it is written", "[policy]") {
  auto hash = [](policy_rules rules) { return made(std::move(rules)).hash(); };
  policy_rules base{{"owner", "a"}, {rule("p", tier::basic, {"a.db:x", "a.db:y"}), rule("q", tier::core)}};
  CHECK(hash(base).size() == 64);
  auto same = base;
  std::swap(same.raw_sql[0], same.raw_sql[1]);
  std::swap(same.agents[0].scopes[0], same.agents[0].scopes[1]);
  CHECK(hash(same) == hash(base));
  std::vector<std::string> hashes{hash(base), access_policy{}.hash(), hash({})};
  auto add = [&](auto change) {
    auto other = base;
    change(other);
    hashes.push_back(hash(other));
  };
  add([](auto& x) { x.raw_sql.pop_back(); });
  add([](auto& x) { std::swap(x.agents[0], x.agents[1]); });
  add([](auto& x) { x.agents[0].name = "r"; });
  add([](auto& x) { x.agents[0].uid = 0; });
  add([](auto& x) { x.agents[0].token = "t"; });
  add([](auto& x) { x.agents[0].tier = tier::verified; });
  add([](auto& x) { x.agents[0].scopes.pop_back(); });
  add([](auto& x) { x.agents[0].limits.rate = 1; });
  add([](auto& x) { x.agents[0].limits.max_rows = 1; });
  add([](auto& x) { x.agents[0].limits.max_time = std::chrono::milliseconds{1}; });
  std::sort(hashes.begin(), hashes.end());
  CHECK(std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end());
}

TEST_CASE("rules that cannot be used are refused", "[policy]") {
  auto error = [](policy_rules rules) {
    auto policy = access_policy::make(std::move(rules));
    REQUIRE_FALSE(policy);
    CHECK(code_of(policy.error()) == errc::invalid_request);
    return describe(policy.error()).message;
  };
  CHECK(error({{}, {rule("", tier::basic)}}).starts_with("agent[0]: its name cannot be"));
  CHECK(error({{}, {rule("sluice:x", tier::basic)}}).starts_with("agent[0]: its name cannot be"));
  CHECK(error({{}, {rule("a\nb", tier::basic)}}).starts_with("agent[0]: its name cannot be"));
  CHECK(error({{""}, {}}).starts_with("raw_sql holds"));
  CHECK(error({{}, {rule("a-*", tier::basic), rule("a-1", tier::core)}})
        == "agent[1]: no agent gets to this rule 'a-1', because agent[0] 'a-*' comes first; put it before that one");
  CHECK(error({{}, {rule("a", tier::basic), rule("a", tier::basic)}}).starts_with("agent[1]: no agent gets"));
  auto both = rule("a", tier::basic);
  both.uid = 1;
  both.token = "t";
  CHECK(error({{}, {both}}).starts_with("agent[0]: it has uid and token"));
  auto bad = rule("a", tier::basic);
  bad.token = "../token";
  CHECK(error({{}, {bad}}).starts_with("agent[0]: token '../token' cannot be"));
  bad = rule("a", tier::basic);
  bad.limits.rate = -1;
  CHECK(error({{}, {bad}}).starts_with("agent[0]: rate = -1"));
}

TEST_CASE("a scope is a database and an operation", "[policy]") {
  CHECK(read_scope("app.db:add_note") == operation_scope{"app.db", "add_note"});
  CHECK(read_scope("a:b/c*.db:*") == operation_scope{"a:b/c*.db", "*"});
  for (const auto* text : {"", "app.db", ":a", "app.db:", "app.db:A", "app.db:a b", "./app.db:a", "../app.db:a",
                           "/app.db:a", "a//b:c", "a/:c", "a\nb:c"})
    CHECK_FALSE(read_scope(text));
}

} // namespace sluice::test::access_policy_test
