#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <cmath>
#include <limits>

namespace sluice::test::binding_test {

namespace {

parameters named(std::vector<named_value> values) { return parameters{std::move(values)}; }

failure refusal(const char* sql, parameters params) {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a, b)");
  return failure_of(fixture.try_read(sql, std::move(params)));
}

} // namespace

TEST_CASE("the number of positional values must match the parameters") {
  CHECK_THAT(refusal("SELECT ?1, ?2", {1}).message,
             Catch::Contains("2 parameters, and 1 value was given; missing from parameter 2"));
  CHECK_THAT(refusal("SELECT ?1", {1, 2}).message, Catch::Contains("superfluous from value 2"));
  CHECK_THAT(refusal("SELECT :from", {}).message, Catch::Contains("'from'"));
  CHECK(refusal("SELECT 1", {1}).code == errc::invalid_request);
}

TEST_CASE("the names of values must match the statement") {
  CHECK_THAT(refusal("SELECT :a, :b", named({{"a", 1}})).message, Catch::Contains("'b' is missing"));
  CHECK_THAT(refusal("SELECT :a", named({{"a", 1}, {"c", 2}})).message, Catch::Contains("no parameter 'c'"));
  CHECK_THAT(refusal("SELECT :a", named({{"a", 1}, {"a", 2}})).message, Catch::Contains("twice"));
  CHECK_THAT(refusal("SELECT :a, ?", named({{"a", 1}})).message, Catch::Contains("no name"));
  CHECK(refusal("SELECT :a", named({{"", 1}})).code == errc::invalid_request);
  auto both = named({{"a", 1}});
  both.positional.emplace_back(2);
  CHECK(refusal("SELECT :a", both).code == errc::invalid_request);
}

TEST_CASE("a name stands for every parameter of that name, whatever its prefix") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  CHECK(fixture.read_one("SELECT :a + @a + $a + :b", named({{"b", 10}, {"a", 1}})) == value{13});
}

TEST_CASE("NaN is refused instead of becoming NULL") {
  auto error = refusal("SELECT ?", {std::nan("")});
  CHECK(error.code == errc::invalid_request);
  CHECK_THAT(error.message, Catch::Contains("NaN"));
  CHECK(refusal("SELECT :x", named({{"x", std::nan("")}})).code == errc::invalid_request);
}

TEST_CASE("text that is not UTF-8 is bound as text, byte for byte, and finds equal text") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)");
  const std::vector<std::string> texts{"\xff",        std::string(64, 'a') + "\xc3", "\xed\xa0\x80",
                                       "\xc0\xaf",    "abcdefghabc\x80 abcdefgh",    std::string{"\xe9\0\xe8", 3},
                                       "\xef\xbf\xbe"};
  for (const auto& text : texts)
    fixture.write("INSERT INTO t(a) VALUES (?)", {text});
  int64_t id = 0;
  for (const auto& text : texts) {
    ++id;
    CHECK(fixture.read_one("SELECT a FROM t WHERE id = ?", {id}) == value{text});
    CHECK(fixture.read_one("SELECT typeof(a) FROM t WHERE id = ?", {id}) == value{"text"});
    CHECK(fixture.read_one("SELECT id FROM t WHERE a = :a", named({{"a", text}})) == value{id});
    CHECK(fixture.read_one("SELECT CAST(a AS BLOB) FROM t WHERE id = ?", {id}) == value{blob{text}});
  }
}

TEST_CASE("every kind of value is returned unchanged") {
  store_fixture fixture;
  auto million = std::string(1'000'000, 'x') + "\xE2\x82\xAC";
  auto bytes = std::string(1'000'000, '\0') + "\xff";
  auto values = std::vector<value>{nullptr,
                                   std::numeric_limits<int64_t>::min(),
                                   std::numeric_limits<int64_t>::max(),
                                   0.1,
                                   std::numeric_limits<double>::infinity(),
                                   "",
                                   blob{},
                                   std::string{"a\0b", 3},
                                   "gr\xC3\xBC\xC3\x9F",
                                   million,
                                   blob{bytes}};
  fixture.write("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
  for (const auto& each : values)
    fixture.write("INSERT INTO t(a) VALUES (?)", {each});
  auto result = fixture.read("SELECT a FROM t ORDER BY id").result;
  REQUIRE(result.rows->size() == values.size());
  for (size_t i = 0; i < values.size(); ++i)
    CHECK(result.rows->at(i, 0) == values[i]);
}

TEST_CASE("text in the file that is not UTF-8 comes back byte for byte") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  fixture.write("INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT))");
  CHECK(fixture.read_one("SELECT a FROM t")
        == value{"a\xff"
                 "b"});
}

} // namespace sluice::test::binding_test
