#include "runtime/store/config.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>

namespace sluice::test::buffer_tables_test {

using namespace std::chrono_literals;
using Catch::Contains;

namespace {

caf::expected<broker_config> load(const std::string& toml) {
  test::temp_dir dir;
  std::ofstream{dir / "sluice.toml"} << toml;
  return load_config(dir.path());
}

std::vector<buffered_table> tables(const std::string& toml) {
  auto result = load(toml);
  INFO((result ? std::string{} : describe(result.error()).message));
  REQUIRE(result);
  return result->buffer_tables;
}

std::string complaint(const std::string& entry) {
  auto result = load("[[buffer_table]]\n" + entry);
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::invalid_request);
  return describe(result.error()).message;
}

} // namespace

TEST_CASE("tables of the buffer are read in the order of the file") {
  auto result = tables(R"(
    buffer_interval_ms = 700
    [[buffer_table]]
    db = "sub/a.db"
    table = "t"
    interval_ms = 1
    priority = -1_000
    [[buffer_table]]
    db = "a.db"
    table = "t"
  )");
  REQUIRE(result.size() == 2);
  CHECK(result[0].db == "sub/a.db");
  CHECK(result[0].table == "t");
  CHECK(result[0].interval == 1ms);
  CHECK(result[0].priority == -1'000);
  CHECK(result[1].interval == 700ms);
  CHECK(result[1].priority == 0);
  CHECK(tables("").empty());
}

TEST_CASE("a table without an interval has the general one, wherever that was set") {
  setenv("SLUICE_BUFFER_INTERVAL_MS", "900", 1);
  auto result = tables("buffer_interval_ms = 700\n[[buffer_table]]\ndb = \"a.db\"\ntable = \"t\"");
  unsetenv("SLUICE_BUFFER_INTERVAL_MS");
  CHECK(result.at(0).interval == 900ms);
}

TEST_CASE("a database of the buffer's tables has one spelling") {
  CHECK(tables("[[buffer_table]]\ndb = \"./sub/../a.db\"\ntable = \"t\"").at(0).db == "a.db");
  for (const auto* db : {"/a.db", "../a.db", "sub/../../a.db", "sub/", "", "."})
    CHECK_THAT(complaint("table = \"t\"\ndb = \"" + std::string{db} + "\""), Contains("line 3") && Contains("db = "));
}

TEST_CASE("an invalid table of the buffer is refused with its line") {
  CHECK_THAT(complaint("db = \"a.db\""), Contains("line 1") && Contains("lacks table"));
  CHECK_THAT(complaint("table = \"t\""), Contains("line 1") && Contains("lacks db"));
  CHECK_THAT(complaint("db = 1"), Contains("line 2") && Contains("db = 1") && Contains("a text"));
  CHECK_THAT(complaint("table = \"\""), Contains("line 2") && Contains("not empty"));
  CHECK_THAT(complaint("interval_ms = 0"),
             Contains("line 2") && Contains("interval_ms = 0") && Contains("1 to 86400000"));
  CHECK_THAT(complaint("interval_ms = 86_400_001"), Contains("interval_ms"));
  CHECK_THAT(complaint("interval_ms = 1.5"), Contains("interval_ms = 1.5"));
  CHECK_THAT(complaint("priority = 1001"), Contains("-1000 to 1000"));
  CHECK_THAT(complaint("priority = \"high\""), Contains("priority"));
  CHECK_THAT(complaint("interval = 5"), Contains("line 2") && Contains("no 'interval'") && Contains("interval_ms"));
  CHECK_THAT(complaint("[[buffer_table.sub]]"), Contains("no 'sub'"));
}

TEST_CASE("a table of the buffer is configured once") {
  CHECK_THAT(complaint("db = \"a.db\"\ntable = \"t\"\n[[buffer_table]]\ndb = \"./a.db\"\ntable = \"T\""),
             Contains("line 4") && Contains("already"));
}

TEST_CASE("tables of the buffer in another form than [[buffer_table]] are refused") {
  for (const auto* toml :
       {"buffer_table = 5", "buffer_table = [1]", "[buffer_table]\ndb = \"a.db\"", "buffer_table = []"}) {
    auto result = load(toml);
    REQUIRE_FALSE(result);
    CHECK_THAT(describe(result.error()).message, Contains("line 1") && Contains("[[buffer_table]]"));
  }
}

} // namespace sluice::test::buffer_tables_test
