#include "runtime/lab/bench/plots.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>

namespace sluice::test::plots_test {

using namespace sluice::bench;

namespace {

case_result with_rate(const char* family, size_t size, uint64_t rate) {
  measurement measurement;
  measurement.operations = measurement.completed = rate;
  measurement.seconds = 1;
  measurement.latencies_us = {10};
  case_result result;
  result.family = family;
  result.size = size;
  result.contenders.push_back({"sluice & others", contender_kind::sluice, {measurement}, {}});
  return result;
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

size_t count(const std::string& text, const std::string& part) {
  size_t result = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++result;
  return result;
}

} // namespace

TEST_CASE("a plot has a line and a point per size for each contender", "[bench]") {
  temp_dir folder;
  auto files = write_plots({with_rate("agents-full", 1, 100), with_rate("agents-full", 64, 5'000),
                            with_rate("alone", 1, 1), with_rate("", 1, 1)},
                           folder.path());
  REQUIRE(files.size() == 2);
  CHECK(files[0].filename() == "rate-agents-full.svg");
  CHECK(files[1].filename() == "p99-agents-full.svg");
  auto svg = text_of(files[0]);
  CHECK(count(svg, "<polyline") == 1);
  CHECK(count(svg, "<circle") == 2);
  CHECK(count(svg, "sluice &amp; others") == 1);
  CHECK(count(svg, "prefers-color-scheme:dark") == 1);
  CHECK(count(svg, ">64</text>") == 1);
}

TEST_CASE("a plot without points is a valid document", "[bench]") {
  auto svg = draw({"a <title>", "x", "y", {}});
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.find("a &lt;title&gt;") != std::string::npos);
}

TEST_CASE("a plot that cannot be written is an error", "[bench]") {
  CHECK_THROWS_WITH(write_plots({with_rate("f", 1, 1), with_rate("f", 2, 1)}, "/dev/null/none"),
                    Catch::Contains("cannot write the plot"));
}

} // namespace sluice::test::plots_test
