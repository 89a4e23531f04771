#include "runtime/lab/scenario/scenario.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

namespace sluice::test::scenario_parse_test {

namespace {

using namespace sluice::scenario;

void is_refused(const std::string& text, int line, int column, const std::string& reason) {
  auto result = parse_scenario(text);
  INFO(text);
  REQUIRE(std::holds_alternative<wrong_file>(result));
  auto& got = std::get<wrong_file>(result);
  INFO(got.text);
  CHECK(got.at.line == line);
  CHECK(got.at.column == column);
  CHECK(got.text.find(reason) != std::string::npos);
}

// A scenario of this one step, whose text begins in line 3, column 5.
std::string with_step(const std::string& step) { return "name: x\nsteps:\n  - " + step + "\n"; }

void step_is_refused(const std::string& step, int column, const std::string& reason) {
  is_refused(with_step(step), 3, column, reason);
}

} // namespace

TEST_CASE("a scenario is read as it is written", "[scenario]") {
  auto result = parse_scenario(R"(name: A scenario
about: why
databases:
  app.db: [CREATE TABLE t (a), CREATE TABLE u (a)]
  empty.db:
agents: [alice]
settings: {readers: 2, buffer_table: [{db: app.db, table: t, priority: 3}]}
steps:
  - agent: alice
    write: {db: app.db, sql: INSERT INTO t VALUES (1)}
    expect: {outcome: committed}
    as: first
  - kill: writer
  - parallel:
      - read: {db: app.db, sql: SELECT 1, min_seq: $(first.commit_seq)}
      - repeat: {times: 3, as: i, steps: [{log: {level: info, message: $(i)}}]}
)");
  REQUIRE(std::holds_alternative<definition>(result));
  auto& got = std::get<definition>(result);
  CHECK(got.name == "A scenario");
  CHECK(got.backend.databases.size() == 2);
  CHECK(got.backend.databases[0].second.size() == 2);
  CHECK(got.backend.settings.find("readers = 2\n[[buffer_table]]\ndb = \"app.db\"\n") != std::string::npos);
  REQUIRE(got.steps.size() == 3);
  CHECK(got.steps[0].kind->name == "write");
  CHECK(got.steps[0].agent == "alice");
  CHECK(got.steps[0].label == "first");
  CHECK(got.steps[1].fields.find("what")->text == "writer");
  CHECK(got.steps[2].steps[1].steps[0].kind->name == "log");
}

TEST_CASE("errors in a scenario as a whole are reported with their position", "[scenario]") {
  is_refused("just a text", 1, 1, "must be a map with name and steps, and is a text");
  is_refused("steps: []", 1, 1, "a scenario needs name: a text");
  is_refused("name: x", 1, 1, "a scenario needs steps: a list");
  is_refused("name: 5\nsteps: []", 1, 7, "name must be a text, and is a whole number");
  is_refused("name: x\nsteps: []", 2, 8, "shows nothing");
  is_refused("name: x\nstpes: []", 2, 1, "has no member stpes; did you mean steps?");
  is_refused("name: x\ndatabases: [app.db]\nsteps: [ping: ]", 2, 12, "databases must be a map");
  is_refused("name: x\ndatabases: {app.db: [1]}\nsteps: [ping: ]", 2, 22, "must be a text, and is a whole number");
  is_refused("name: x\ndatabases: {../app.db: }\nsteps: [ping: ]", 2, 13, "is no name of a database");
  is_refused("name: x\nsettings: {cach: true}\nsteps: [ping: ]", 2, 12, "did you mean cache?");
  is_refused("name: x\nsettings: {cache: [true]}\nsteps: [ping: ]", 2, 19, "must be a word or a number, and is a list");
  is_refused("name: x\nsettings: {readers: 1, busy_timeout_ms: 5s}\nsteps: [ping: ]", 2, 41,
             "busy_timeout_ms = '5s' cannot be used; it must be a whole number from 0 to 500");
  is_refused(
    "name: x\nsettings:\n  buffer_table: [{db: a, table: t,\n    priority: 3000}]\n  readers: 1\nsteps: [ping: ]", 4,
    15, "priority = 3000 cannot be used");
  is_refused("name: x\nagents: [a, a]\nsteps: [ping: ]", 2, 13, "the agent a is declared twice");
  is_refused("name: x\nagents: {a: {add_kes: 1}}\nsteps: [ping: ]", 2, 14, "did you mean add_keys?");
}

TEST_CASE("errors in a step are reported with their position", "[scenario]") {
  step_is_refused("5", 5, "a step must be a map");
  step_is_refused("{}", 5, "this step does nothing; there are write, read");
  step_is_refused("wirte: {db: app.db}", 5, "there is no step wirte; did you mean write?");
  step_is_refused("{write: , db: app.db}", 15, "there is no step db; if it is a member of write, indent it below");
  step_is_refused("{ping: , status: }", 14, "this one both ping and status");
  step_is_refused("write: {db: app.db}", 12, "write needs sql: a text, or statements");
  step_is_refused("write: {sql: x}", 12, "write needs db: a text");
  step_is_refused("write: {db: app.db, sql: x, parms: []}", 33, "write has no member parms; did you mean params?");
  step_is_refused("write: {db: 5, sql: x}", 17, "db must be a text, and is 5");
  step_is_refused("write: {db: a, sql: x, deadline_ms: 0}", 41, "a whole number from 1 to 86400000, and is 0");
  step_is_refused("write: {db: a, sql: x, params: [true]}", 37, "a boolean, which SQLite does not have");
  step_is_refused("write: {db: a, sql: x, params: [[1]]}", 37, "must be a value");
  step_is_refused("write: {db: a, sql: x, statements: [{sql: y}]}", 25, "either sql or statements");
  step_is_refused("write: {db: a, statements: []}", 32,
                  "a list of statements, each with sql, params and expect, and is an empty");
  step_is_refused("write: {db: a, statements: [{sq: y}]}", 34, "did you mean sql?");
  step_is_refused("read: {db: a, sql: x, freshness: frish}", 38, "did you mean fresh?");
  step_is_refused("kill: wrter", 11, "what must be one of process, writer");
  step_is_refused("{agent: alice, kill: writer}", 13, "kill is not a request of an agent; leave agent out");
  step_is_refused("wait: {}", 11, "wait needs either for_ms");
  step_is_refused("wait: 100", 11, "a map of its fields (until, within_ms and for_ms), and is a whole number");
  step_is_refused("wait: {for_ms: 1, within_ms: 1}", 34, "within_ms belongs to until");
  step_is_refused("disk.fault: {effect: delay, on: sync}", 26, "effect delay needs delay_ms");
  step_is_refused("{parallel: [ping: ], expect: {}}", 34, "nothing can be expected of parallel itself");
  step_is_refused("{ping: , expect: [pong]}", 22, "expect must be a map");
  step_is_refused("{ping: , expect: {pog: true}}", 23, "the answer to ping has no member pog; did you mean pong?");
  step_is_refused("{ping: , expect: {error: bussy}}", 30, "there is no error bussy; did you mean busy?");
  step_is_refused("{ping: , expect: {outcome: {$one_of: [unknown, comitted]}}}", 52, "did you mean committed?");
  step_is_refused("{ping: , expect: {pid: {$mni: 1}}}", 29, "nothing is expected with $mni; did you mean $min?");
  step_is_refused("{ping: , expect: {pid: {$min: x}}}", 35, "$min takes a number, and is given a text");
  step_is_refused("{ping: , as: 'two words'}", 18, "a name has 1 to 64 letters");
  step_is_refused("read: {db: a, sql: x, min_seq: $(before.commit_seq)}", 36, "no step before this one keeps");
  step_is_refused("repeat: {times: 100, at_once: true, steps: [repeat: {times: 100, at_once: true, steps: [ping: ]}]}",
                  3, "10000 requests would be under way at once");
}

TEST_CASE("names of answers are given once, and agents that are declared are the only ones", "[scenario]") {
  is_refused("name: x\nsteps:\n  - {ping: , as: a}\n  - {ping: , as: a}\n", 4, 18, "the name of another answer");
  is_refused("name: x\nagents: [alice]\nsteps:\n  - {ping: , agent: alcie}\n", 4, 21, "did you mean alice?");
  is_refused("name: x\nsteps:\n  - {ping: , as: one}\n  - {ping: , expect: {pid: $(on.pid)}}\n", 4, 28,
             "did you mean one?");
  // The counter of a repeat is not defined after it.
  is_refused("name: x\nsteps:\n  - repeat: {times: 2, as: i, steps: [ping: ]}\n  - ping:\n    expect: {pid: $(i)}\n", 5,
             19, "keeps its answer as i");
}

TEST_CASE("a file that cannot be read is refused", "[scenario]") {
  auto wrong = [](const std::filesystem::path& file) {
    auto result = read_scenario(file);
    REQUIRE(std::holds_alternative<wrong_file>(result));
    return std::get<wrong_file>(result).text;
  };
  CHECK(wrong("/nowhere/x.yaml") == "there is no such file");
  CHECK(wrong("/") == "this is a folder; name the files in it");
  CHECK(wrong("/dev/null") == "the file is empty; it must be a map with name and steps");
  CHECK(wrong("/dev/zero").find("may have 1048576") != std::string::npos);
}

} // namespace sluice::test::scenario_parse_test
