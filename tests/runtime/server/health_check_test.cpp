#include "runtime/server/health_check.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace sluice::test::health_check_test {

using namespace std::chrono_literals;

TEST_CASE("one health check is under way at a time, and its result is valid for a second") {
  std::vector<std::function<void(health_check::result)>> looks;
  health_check aut{[&](auto done) { looks.push_back(std::move(done)); }};
  std::vector<std::string> answers;
  auto ask = [&](clock::steady now) {
    aut.ask(now, [&](const health_check::result& x) { answers.push_back(x.value_or("good")); });
  };
  clock::steady start{};
  for (int i = 0; i < 100; ++i)
    ask(start);
  REQUIRE(looks.size() == 1);
  CHECK(answers.empty());
  looks[0](std::nullopt);
  CHECK(answers.size() == 100);
  // The answer is the cached result.
  ask(start + 999ms);
  CHECK(looks.size() == 1);
  CHECK(answers.size() == 101);
  CHECK(answers.back() == "good");
  // A caller also waits for a check that takes longer than its result is valid.
  ask(start + 1s);
  ask(start + 3s);
  REQUIRE(looks.size() == 2);
  CHECK(answers.size() == 101);
  looks[1]("the disk is full");
  REQUIRE(answers.size() == 103);
  CHECK(answers[102] == "the disk is full");
  // The check began two seconds ago.
  ask(start + 3s);
  CHECK(looks.size() == 3);
}

} // namespace sluice::test::health_check_test
