#include "runtime/sqlite/core/text_encoding.hpp"

#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <sqlite3.h>

namespace sluice::test::text_encoding_test {

using Catch::Contains;

namespace {

// A database of another program, in that encoding.
struct encoded_fixture : store_fixture {
  explicit encoded_fixture(const std::string& encoding) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
    auto sql = "PRAGMA encoding = '" + encoding + "'; CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)";
    REQUIRE(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
  }
};

} // namespace

TEST_CASE("UTF-16 can hold valid UTF-8, except the characters that SQLite replaces") {
  for (const auto* text : {"", "plain", "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x98\x80", "\xef\xbb\xbf", "\xef\xbf\xbd"})
    CHECK(sqlite::fits_utf16(text));
  for (const auto* text : {"caf\xe9", "\xed\xa0\x80", "a\xef\xbf\xbe", "\xef\xbf\xbf!"})
    CHECK_FALSE(sqlite::fits_utf16(text));
}

TEST_CASE("text in a UTF-16 database is returned unchanged, or refused") {
  for (const auto* encoding : {"UTF-16le", "UTF-16be"}) {
    encoded_fixture fixture{encoding};
    const std::vector<std::string> kept{
      "", "plain", "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x98\x80 \xe2\x82\xac", "\xef\xbb\xbfx", std::string{"a\0b", 3}};
    for (const auto& text : kept) {
      auto written = fixture.write("INSERT INTO t(a) VALUES (?) RETURNING a", {text});
      CHECK(written.results[0].rows.at(0, 0) == value{text});
      CHECK(fixture.read_one("SELECT a FROM t ORDER BY id DESC LIMIT 1") == value{text});
    }
    for (const auto* text : {"caf\xe9", "\xed\xa0\x80", "\xef\xbf\xbe", "\xef\xbf\xbf"}) {
      auto error = fixture.refuse("INSERT INTO t(a) VALUES (?)", {text});
      CHECK(error.code == errc::invalid_request);
      CHECK_THAT(error.message, Contains("value 1") && Contains("UTF-16"));
      CHECK(failure_of(fixture.try_read("SELECT ?", {text})).code == errc::invalid_request);
    }
    CHECK(fixture.refuse("INSERT INTO t(a) VALUES ('\xef\xbf\xbe')").code == errc::invalid_request);
    CHECK(fixture.read_one("SELECT count(*) FROM t") == value{static_cast<int64_t>(kept.size())});
  }
}

TEST_CASE("a UTF-8 database stores text that UTF-16 cannot hold, from SQL and from parameters") {
  table_fixture fixture;
  fixture.write("INSERT INTO t(a) VALUES ('\xef\xbf\xbe'), (?)", {"\xef\xbf\xbf \xed\xa0\x80"});
  CHECK(fixture.read_one("SELECT a FROM t WHERE id = 1") == value{"\xef\xbf\xbe"});
  CHECK(fixture.read_one("SELECT a || '\xef\xbf\xbe' FROM t WHERE id = 2")
        == value{"\xef\xbf\xbf \xed\xa0\x80\xef\xbf\xbe"});
}

TEST_CASE("half a surrogate pair is refused with its column, and can be read as a blob") {
  struct half {
    const char* encoding;
    const char* literal;
    std::string bytes;
  };
  for (const auto& [encoding, literal, bytes] :
       {half{"UTF-16le", "x'3dd8'", "\x3d\xd8"}, half{"UTF-16le", "x'00de6200'", {"\x00\xde\x62\x00", 4}},
        half{"UTF-16be", "x'd83d'", "\xd8\x3d"}, half{"UTF-16be", "x'd83d0061'", {"\xd8\x3d\x00\x61", 4}}}) {
    encoded_fixture fixture{encoding};
    fixture.write("INSERT INTO t(a) VALUES ('fine')");
    auto insert = std::string{"INSERT INTO t(a) VALUES (CAST("} + literal + " AS TEXT))";
    fixture.write(insert.c_str());
    auto error = failure_of(fixture.try_read("SELECT id, a FROM t"));
    CHECK(error.code == errc::invalid_request);
    CHECK_THAT(error.message, Contains("'a'") && Contains("AS BLOB"));
    CHECK(failure_of(fixture.try_read("SELECT 'constant', a FROM t ORDER BY id")).code == errc::invalid_request);
    CHECK(fixture.read_one("SELECT CAST(a AS BLOB) FROM t WHERE id = 2") == value{blob{bytes}});
    CHECK(fixture.read_one("SELECT a FROM t WHERE id = 1") == value{"fine"});
    CHECK(fixture.refuse((insert + " RETURNING a").c_str()).code == errc::invalid_request);
    CHECK(fixture.read_one("SELECT count(*) FROM t") == value{2});
  }
}

} // namespace sluice::test::text_encoding_test
