#include "runtime/store/config.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <string>

namespace sluice::test::policy_tables_test {

namespace {

std::string mistake_in(const std::string& text) {
  auto found = check_config(text);
  return found ? std::to_string(found->line) + ": " + found->reason : "";
}

} // namespace

TEST_CASE("the policy of a store is read from its file", "[policy]") {
  temp_dir dir;
  std::ofstream{dir / "sluice.toml"} << R"(
    cache = false
    [policy]
    raw_sql = ["owner", "core", "admin-*"]
    [[agent]]
    name = "planner-*"
    tier = "basic"
    scopes = ["app.db:add_note", "app.db:find_*"]
    rate = 0.5
    max_rows = 100
    max_time_ms = 2_000
    [[agent]]
    name = "boss"
    uid = 0
    tier = "core"
    [[agent]]
    name = "remote"
    token = "laptop"
  )";
  auto config = load_config(dir.path());
  REQUIRE(config);
  CHECK_FALSE(config->cache);
  REQUIRE(config->policy->exists());
  const auto& rules = config->policy->rules();
  CHECK(rules.raw_sql == std::vector<std::string>{"owner", "core", "admin-*"});
  REQUIRE(rules.agents.size() == 3);
  const auto& planner = rules.agents[0];
  CHECK(planner.name == "planner-*");
  CHECK(planner.tier == tier::basic);
  CHECK(planner.scopes == std::vector<operation_scope>{{"app.db", "add_note"}, {"app.db", "find_*"}});
  CHECK(planner.limits == agent_limits{0.5, 100, std::chrono::milliseconds{2'000}});
  CHECK(rules.agents[1].uid == 0U);
  CHECK(rules.agents[2].token == "laptop");
  CHECK(rules.agents[2].tier == tier::untrusted);
  auto alone = load_policy(dir.path());
  REQUIRE(alone);
  CHECK((*alone)->hash() == config->policy->hash());
}

TEST_CASE("without a policy in the file everything is allowed, and with an empty one SQL is the owner's", "[policy]") {
  temp_dir dir;
  auto none = load_config(dir.path());
  REQUIRE(none);
  CHECK_FALSE(none->policy->exists());
  std::ofstream{dir / "sluice.toml"} << "[policy]\n";
  auto empty = load_config(dir.path());
  REQUIRE(empty);
  CHECK(empty->policy->exists());
  CHECK(empty->policy->rules().raw_sql == std::vector<std::string>{"owner"});
}

TEST_CASE("a mistake in a policy is found with its line", "[policy]") {
  CHECK(mistake_in("[policy]\nraw_sql = [\"owner\"]\n[[agent]]\nname = \"a\"\n").empty());
  const std::pair<const char*, const char*> cases[] = {
    {"[polcy]", "1: there is no setting 'polcy'"},
    {"policy = 1", "1: policy must be written as [policy]"},
    {"[policy]\nraw = []", "2: policy has no 'raw'; there is raw_sql"},
    {"[policy]\nraw_sql = \"owner\"", "2: policy: raw_sql = 'owner' cannot be used; it must be a list"},
    {"[policy]\nraw_sql = [1]", "2: policy: raw_sql holds 1, which is neither owner nor a tier"},
    {"[policy]\nraw_sql = [\"\"]", "2: policy: raw_sql holds"},
    {"[[agent]]\nname = \"a\"", "1: there is an [[agent]] but no [policy]"},
    {"[policy]\n[agent]\nname = \"a\"", "2: agent must be written as [[agent]]"},
    {"[policy]\n[[agent]]\ntier = \"core\"", "2: this [[agent]] lacks name"},
    {"[policy]\n[[agent]]\nname = \"\"", "3: agent: name = '' cannot be used"},
    {"[policy]\n[[agent]]\nname = \"sluice:writer\"", "3: agent: name = 'sluice:writer' cannot be used"},
    {"[policy]\n[[agent]]\nname = [\"a\"]", "3: agent: name = ["},
    {"[policy]\n[[agent]]\nname = \"a\"\ntier = \"gold\"",
     "4: agent: tier = 'gold' cannot be used; it must be untrusted"},
    {"[policy]\n[[agent]]\nname = \"a\"\nscopes = \"app.db:x\"", "4: agent: scopes = 'app.db:x' cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\nscopes = [\"x\"]", "4: agent: the scope 'x' cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\nscopes = [\"./app.db:x\"]", "4: agent: the scope './app.db:x' cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\nuid = -1", "4: agent: uid = -1 cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\nuid = \"root\"", "4: agent: uid = 'root' cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\ntoken = \"../x\"", "4: agent: token = '../x' cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\nrate = 0", "4: agent: rate = 0 cannot be used; it must be a number from 0.01"},
    {"[policy]\n[[agent]]\nname = \"a\"\nrate = nan", "4: agent: rate = nan cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\nmax_rows = 0", "4: agent: max_rows = 0 cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\nmax_time_ms = 0", "4: agent: max_time_ms = 0 cannot be used"},
    {"[policy]\n[[agent]]\nname = \"a\"\nteir = \"core\"", "4: an agent has no 'teir'; there are name, uid"},
    {"[policy]\n[[agent]]\nname = \"*\"\n[[agent]]\nname = \"a\"", "4: agent: no agent gets to this rule 'a'"},
  };
  for (const auto& [text, mistake] : cases) {
    INFO(text);
    CHECK_THAT(mistake_in(text), Catch::StartsWith(mistake));
  }
}

} // namespace sluice::test::policy_tables_test
