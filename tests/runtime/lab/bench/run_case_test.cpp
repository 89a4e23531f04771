#include "runtime/lab/bench/run_case.hpp"

#include "runtime/lab/bench/goals.hpp"
#include "runtime/lab/bench/report.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <stdexcept>

namespace sluice::test::run_case_test {

using namespace sluice::bench;

namespace {

// A contender with the given number of operations per second in each round, one after the other.
contender scripted(const char* name, contender_kind kind, std::vector<uint64_t> rates, std::string* order = nullptr) {
  return {name, kind, [=](const std::filesystem::path&) -> session {
            return [=, next = size_t{0}](const bench_round&) mutable {
              if (order)
                *order += name;
              measurement result;
              result.operations = result.completed = rates.at(next++);
              result.seconds = result.elapsed = 1;
              result.latencies_us = {3, 1, 2};
              return result;
            };
          }};
}

contender failing(const char* name, contender_kind kind) {
  return {name, kind, [](const std::filesystem::path&) -> session {
            return [](const bench_round&) {
              measurement result;
              result.operations = result.completed = 1;
              result.errors = 2;
              result.seconds = result.elapsed = 1;
              return result;
            };
          }};
}

case_result run(std::vector<contender> contenders, size_t rounds = 1, std::vector<goal> goals = {}) {
  temp_dir folder;
  bench_case bench;
  bench.name = "a-case";
  bench.title = "a case";
  bench.contenders = std::move(contenders);
  bench.goals = std::move(goals);
  return run_case(bench, {std::chrono::milliseconds{1}, rounds, folder.path()});
}

} // namespace

TEST_CASE("contenders run in turn, round by round", "[bench]") {
  std::string order;
  run({scripted("A", contender_kind::sluice, {1, 1, 1}, &order),
       scripted("B", contender_kind::direct, {1, 1, 1}, &order),
       scripted("C", contender_kind::bound, {1, 1, 1}, &order)},
      3);
  CHECK(order == "ABCABCABC");
}

TEST_CASE("a ratio is the median of the ratios of the rounds, with the least and the greatest", "[bench]") {
  auto found = run(
    {scripted("ours", contender_kind::sluice, {10, 30, 80}), scripted("direct", contender_kind::direct, {10, 10, 20})},
    3);
  REQUIRE(found.ratios.size() == 1);
  CHECK(found.ratios[0].contender == "ours");
  CHECK(found.ratios[0].reference == "direct");
  CHECK(found.ratios[0].got.median == 3);
  CHECK(found.ratios[0].got.min == 1);
  CHECK(found.ratios[0].got.max == 4);
  CHECK(found.failure.empty());
}

TEST_CASE("a goal compares the median of the rounds with its bound", "[bench]") {
  auto found = run(
    {scripted("ours", contender_kind::sluice, {10, 30, 80}), scripted("direct", contender_kind::direct, {10, 10, 20})},
    3, {rate_goal("of direct", 0, 1, 3), rate_goal("of direct", 0, 1, 3.5), time_goal("of direct", 0, 1, 0.3)});
  REQUIRE(found.goals.size() == 3);
  CHECK(found.goals[0].is_met());
  CHECK_FALSE(found.goals[1].is_met());
  CHECK(found.goals[2].got.median == Approx(1.0 / 3));
  CHECK_FALSE(found.goals[2].is_met());
}

TEST_CASE("errors of sluice and of a bound fail a case, those of direct SQLite are a result", "[bench]") {
  CHECK(run({failing("ours", contender_kind::sluice)}).failure == "2 requests of \"ours\" failed");
  CHECK_FALSE(run({failing("bound", contender_kind::bound)}).failure.empty());
  CHECK(run({failing("direct", contender_kind::direct)}).failure.empty());
}

TEST_CASE("a contender that cannot run or completes no operation fails its case", "[bench]") {
  contender broken{"ours", contender_kind::sluice,
                   [](const std::filesystem::path&) -> session { throw std::runtime_error{"no such program"}; }};
  auto found = run({broken});
  CHECK(found.failure == "no such program");
  CHECK(found.contenders.empty());
  CHECK_FALSE(run({scripted("ours", contender_kind::sluice, {0})}).failure.empty());
  CHECK(to_json(found)["failure"] == "no such program");
}

TEST_CASE("operations that end after the time of the round are not in its rate", "[bench]") {
  measurement measurement;
  bench_clock::time_point begin{}, stop_at = begin + std::chrono::seconds{1};
  measurement.seconds = 1;
  measurement.elapsed = 2;
  measurement.note(true, begin, begin + std::chrono::seconds{2}, stop_at);
  CHECK(measurement.operations == 0);
  CHECK(measurement.completed == 1);
  // It is the only one.
  CHECK(measurement.per_second() == 0.5);
  measurement.note(true, begin, stop_at, stop_at);
  CHECK(measurement.per_second() == 1);
  measurement.note(false, begin, stop_at, stop_at);
  CHECK(measurement.errors == 1);
  CHECK(measurement.latencies_us.size() == 3);
}

TEST_CASE("stored bytes are the growth of the database and of the audit per row", "[bench]") {
  contender growing{"ours", contender_kind::sluice, [](const std::filesystem::path& folder) -> session {
                      std::filesystem::create_directories(folder / ".sluice");
                      std::ofstream{folder / "items.db"} << std::string(100, 'x');
                      return [folder](const bench_round&) {
                        std::ofstream{folder / "items.db"} << std::string(1'100, 'x');
                        std::ofstream{folder / ".sluice" / "audit.db"} << std::string(50, 'x');
                        std::ofstream{folder / ".sluice" / "logs.db"} << std::string(5'000, 'x');
                        measurement result;
                        result.operations = result.completed = result.stored_rows = 10;
                        result.seconds = 1;
                        return result;
                      };
                    }};
  growing.stores_rows = true;
  auto found = run({growing});
  REQUIRE(found.contenders.at(0).stored);
  CHECK(found.contenders[0].stored->database == 100);
  CHECK(found.contenders[0].stored->audit == 5);
}

TEST_CASE("the summary has three sentences and says what is slower than direct SQLite", "[bench]") {
  auto slow = run({scripted("sluice, actors", contender_kind::sluice, {1}), scripted("d", contender_kind::direct, {4})},
                  1, {rate_goal("of direct", 0, 1, 0.5)});
  CHECK(summary_of({slow})
        == "Faster than direct SQLite: none of these cases. Slower than direct SQLite: a-case (actors) 0.25x. "
           "Of 1 goals 0 are met; missed: a-case (0.25 of direct, wanted 0.5).");
  auto fast = run({scripted("ours", contender_kind::sluice, {8}), scripted("d", contender_kind::direct, {4})});
  CHECK(summary_of({fast})
        == "Faster than direct SQLite: a-case (ours) 2x. Slower than direct SQLite: none of these cases. "
           "Of 0 goals 0 are met.");
}

} // namespace sluice::test::run_case_test
