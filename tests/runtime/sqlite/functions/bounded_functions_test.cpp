#include "runtime/sqlite/functions/bounded_functions.hpp"

#include "runtime/sqlite/functions/format_cost.hpp"
#include "runtime/sqlite/functions/pattern_match.hpp"
#include "runtime/sqlite/functions/text_functions.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"

#include <sqlite3.h>

#include <random>

namespace sluice::test::bounded_functions_test {

using namespace std::string_literals;

namespace {

/// A database whose functions are SQLite's built-in ones or the bounded ones.
class calculator {
public:
  enum class functions : uint8_t { builtin, bounded };

  explicit calculator(functions which, const char* encoding = "UTF-8", sqlite::function_limits limits = {}) {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    db_.emplace(must(sqlite::connection::open(folder_ / "app.db", options)));
    must(db_->exec(("PRAGMA encoding = '"s + encoding + "'").c_str()));
    db_->limit_values(limits.max_value_bytes);
    if (which == functions::bounded)
      must(sqlite::bound_functions(*db_, limits, [this] { return is_due; }));
  }

  /// The value with its type, or the error, as a text.
  std::string answer(const std::string& sql, const parameters& params = {}) {
    auto row = rows(sql, params);
    return row.empty() ? "nothing" : row.front();
  }

  std::vector<std::string> rows(const std::string& sql, const parameters& params = {}) {
    std::vector<std::string> result;
    auto stmt = must(sqlite::prepared_statement::prepare(*db_, sql));
    for (size_t i = 0; i < params.positional.size(); ++i)
      stmt.bind(static_cast<int>(i) + 1, params.positional[i]);
    int code = SQLITE_OK;
    while ((code = stmt.step_code()) == SQLITE_ROW) {
      std::string line;
      for (int i = 0; i < stmt.column_count(); ++i) {
        auto type = sqlite3_column_type(stmt.handle(), i);
        line += std::to_string(type) + ":" + std::string{stmt.text(i)} + "|";
      }
      result.push_back(std::move(line));
    }
    if (code != SQLITE_DONE)
      result.push_back("error " + std::to_string(code) + ": " + sqlite3_errmsg(db_->handle()));
    return result;
  }

  bool is_due = false;

private:
  temp_dir folder_;
  std::optional<sqlite::connection> db_;
};

constexpr auto builtin = calculator::functions::builtin;
constexpr auto bounded = calculator::functions::bounded;

/// Similar values, so that one often occurs in the other; of every type, and not all UTF-8.
class values {
public:
  explicit values(uint32_t seed) : random_(seed) {}

  value any() {
    switch (below(10)) {
    case 0: return {};
    case 1: return static_cast<int64_t>(below(200)) - 100;
    case 2: return static_cast<double>(below(40)) / 8;
    case 3: return blob{text()};
    default: return text();
    }
  }

  /// @param parts the pieces of the text
  std::string text(const std::vector<std::string>& parts = {"a", "b", "A", "é", "É", "日", "", "1", ".", "-", " "}) {
    std::string result;
    for (auto n = below(8); n > 0; --n)
      result += below(40) == 0 ? std::string(1, static_cast<char>(below(255) + 1)) : parts[below(parts.size())];
    return result;
  }

  size_t below(size_t n) { return std::uniform_int_distribution<size_t>{0, n - 1}(random_); }

private:
  std::mt19937 random_;
};

void compare(const std::string& sql, const std::function<parameters(values&)>& make, int count = 4'000) {
  for (const auto* encoding : {"UTF-8", "UTF-16le"}) {
    calculator builtin_db{builtin, encoding};
    calculator bounded_db{bounded, encoding};
    values source{4711};
    for (auto i = 0; i < count; ++i) {
      auto params = make(source);
      auto expected = builtin_db.answer(sql, params);
      auto got = bounded_db.answer(sql, params);
      if (got == expected)
        continue;
      std::string text;
      for (const auto& param : params.positional)
        text += (param.text()         ? "'" + *param.text() + "'"
                 : param.blob_bytes() ? "x'" + *param.blob_bytes() + "'"
                                      : "other")
                + ", ";
      FAIL(sql << " in " << encoding << " of " << text << "is " << got << " and in SQLite " << expected);
    }
  }
}

std::string repeated(const std::string& part, size_t count) {
  std::string result;
  result.reserve(part.size() * count);
  for (size_t i = 0; i < count; ++i)
    result += part;
  return result;
}

} // namespace

TEST_CASE("instr, replace and trim give the results of SQLite's built-ins for any input", "[functions]") {
  auto two = [](values& x) { return parameters{x.any(), x.any()}; };
  compare("SELECT instr(?1, ?2), typeof(?1), typeof(?2)", two);
  compare("SELECT instr(?1 || ?2, ?2), instr(CAST(?1 AS BLOB), CAST(?2 AS BLOB))", two);
  compare("SELECT trim(?1, ?2), ltrim(?1, ?2), rtrim(?1, ?2), trim(?1), typeof(?1)", two);
  compare("SELECT replace(?1, ?2, ?3), typeof(replace(?1, ?2, ?3)), hex(replace(?1, ?2, ?3)), typeof(?1)",
          [](values& values) {
            return parameters{values.any(), values.any(), values.any()};
          });
}

TEST_CASE("LIKE and GLOB give the results of SQLite's built-ins for any input", "[functions]") {
  compare("SELECT ?1 LIKE ?2, ?1 GLOB ?2, like(?2, ?1), glob(?2, ?1)", [](values& values) {
    return parameters{values.any(), values.any()};
  });
  compare("SELECT ?1 LIKE ?2 ESCAPE ?3", [](values& source) {
    return parameters{source.text({"a", "%", "_", "\\", "é"}), source.text({"a", "%", "_", "\\", "\\%", "é"}),
                      source.below(20) == 0 ? source.any()
                                            : value{source.text({"\\", "%", "_", "é", "a"}).substr(0, 2)}};
  });
}

TEST_CASE("the bounded pattern matcher agrees with sqlite3_strlike and sqlite3_strglob", "[functions]") {
  values source{815};
  for (auto i = 0; i < 60'000; ++i) {
    auto text = source.text({"a", "b", "A", "é", "日", "aab", "]", "-", "^"});
    auto like = source.text({"a", "b", "B", "%", "%", "_", "é", "日", "\\", "\\%", "\\_"});
    auto glob =
      source.text({"a", "b", "*", "*", "?", "é", "[ab]", "[^a]", "[a-z]", "[]a]", "[^]]", "[é-日]", "[a-]", "["});
    // The functions read up to a NUL.
    uint64_t steps = 1'000'000;
    INFO(text << " LIKE " << like << ", GLOB " << glob);
    auto likes = sqlite::match_pattern(like.c_str(), text.c_str(), sqlite::like_rules, '\\', steps);
    if ((likes == sqlite::pattern_verdict::match) != (sqlite3_strlike(like.c_str(), text.c_str(), '\\') == 0))
      FAIL("LIKE differs");
    auto globs = sqlite::match_pattern(glob.c_str(), text.c_str(), sqlite::glob_rules, 0, steps);
    if ((globs == sqlite::pattern_verdict::match) != (sqlite3_strglob(glob.c_str(), text.c_str()) == 0))
      FAIL("GLOB differs");
  }
}

TEST_CASE("format and json_patch give the results of SQLite's built-ins for any input", "[functions]") {
  compare("SELECT printf(?1, ?2, ?3), format(?1, ?2, ?3), typeof(printf(?1, ?2))", [](values& values) {
    return parameters{
      values.text({"%d", "%5.2f", "%s",  "%-8s|", "%.3s",   "%c", "%.4c", "%*d", "%.*f", "%%", "%q", "%Q", "%w",
                   "%x", "%05d",  "%+d", "%,d",   "%!.20g", "%e", "%z",   "%n",  "%k",   "%",  "x",  "é"}),
      values.any(), values.any()};
  });
  calculator builtin_db{builtin};
  calculator bounded_db{bounded};
  for (const auto* sql :
       {"SELECT printf(), format()", "SELECT json_patch('{\"a\":1}', '{\"a\":null,\"b\":[1,{}]}')",
        "SELECT json_patch(NULL, '{}'), json_patch('{}', NULL)", "SELECT json_patch('{', '{}')",
        "SELECT json_array(json_patch('{\"a\":1}', '{\"b\":2}'))", "SELECT json_patch('[1]', '{\"a\":{\"b\":null}}')"})
    CHECK(bounded_db.rows(sql) == builtin_db.rows(sql));
}

// With SQLite's built-in functions each of these would take hours.
TEST_CASE("searching a long text takes time linear in its length", "[functions]") {
  calculator db{bounded};
  auto text = std::string(4'000'000, 'a');
  auto part = std::string(2'000'000, 'a') + 'b';
  CHECK(db.answer("SELECT instr(?1, ?2)", {text, part}) == "1:0|");
  CHECK(db.answer("SELECT instr(?1, ?2)", {blob{text}, blob{part}}) == "1:0|");
  CHECK(db.answer("SELECT instr(?1 || ?2, ?2)", {text, part}) == "1:4000001|");
  CHECK(db.answer("SELECT length(replace(?1, ?2, ''))", {text, part}) == "1:4000000|");
  CHECK(db.answer("SELECT length(replace(?1 || ?2, ?2, 'xy'))", {text, part}) == "1:4000002|");
  std::string set;
  for (int i = 0x800; i < 0xd000; ++i)
    set += {static_cast<char>(0xe0 | (i >> 12)), static_cast<char>(0x80 | ((i >> 6) & 0x3f)),
            static_cast<char>(0x80 | (i & 0x3f))};
  auto last = set.substr(set.size() - 3);
  CHECK(db.answer("SELECT length(trim(?1, ?2))", {repeated(last, 1'000'000) + "x", set}) == "1:1|");
}

TEST_CASE("a comparison that costs the product of two lengths is refused as too large after max_steps", "[functions]") {
  sqlite::function_limits limits;
  limits.max_steps = 100'000;
  calculator db{bounded, "UTF-8", limits};
  auto text = std::string(1'000'000, 'a');
  auto part = std::string(1'000, 'a');
  auto too_large = "error " + std::to_string(SQLITE_TOOBIG);
  auto refused = [&](const char* sql, const parameters& params) {
    auto answer = db.answer(sql, params);
    INFO(sql << ": " << answer);
    return answer.starts_with(too_large);
  };
  CHECK(refused("SELECT ?1 LIKE ?2", {text, "%" + part + "b"}));
  CHECK(refused("SELECT ?1 GLOB ?2", {text, "*" + part + "b"}));
  CHECK(refused("SELECT ?1 GLOB ?2", {text, "*[" + part + "]b"}));
  CHECK(refused("SELECT ?1 LIKE ?2 ESCAPE '%'", {text, repeated("_", 200'000) + "b"}));
  CHECK(refused("SELECT 'a' LIKE ?1", {std::string(60'000, 'a')}));
  auto members = "{" + repeated("\"a\":1,", 1'000) + "\"b\":1}";
  CHECK(refused("SELECT json_patch(?1, ?1)", {members}));
  auto unlike_utf8 = repeated("\xc3\x80\x80", 1) + std::string(900, '\x80');
  CHECK(refused("SELECT trim(?1, ?2)", {repeated("\xc3\x80", 200'000), unlike_utf8 + "\xc3\x80"}));
  // The number of steps does not grow with the product of the wildcards.
  CHECK(db.answer("SELECT ?1 LIKE ?2", {text, repeated("%a", 20'000) + "%"}) == "1:1|");
  uint64_t steps = 10'000'000;
  CHECK(sqlite::match_pattern((repeated("%a", 20'000) + "b").c_str(), text.c_str(), sqlite::like_rules, 0, steps)
        == sqlite::pattern_verdict::no_match);
  CHECK(steps > 8'000'000);
}

TEST_CASE("a format whose widths and precisions exceed the value limit is refused", "[functions]") {
  sqlite::function_limits limits;
  limits.max_value_bytes = 100'000;
  calculator db{bounded, "UTF-8", limits};
  auto too_large = "error " + std::to_string(SQLITE_TOOBIG);
  for (const auto* sql : {"SELECT printf('%.*c', 900000000, 'x')", "SELECT printf('%*d', 2000000000, 1)",
                          "SELECT format('%.99999f%.99999f', 1, 1)", "SELECT printf('%.*c', -900000000, 'x')",
                          "SELECT printf('%100001d', 1)", "SELECT printf('%.60000g%.60000g')",
                          "SELECT printf('%s%*.*f', 'x', 90000, 90000, 1.5)"}) {
    INFO(sql);
    CHECK(db.answer(sql).starts_with(too_large));
  }
  CHECK(db.answer("SELECT length(printf('%.90000c', 'x')), printf('%.2000000000s', 'ab')") == "1:90000|3:ab|");
  auto number = [](size_t i) { return static_cast<int64_t>(i) * 10; };
  CHECK(sqlite::format_cost("%5d %-7.3f %s %*d %.*c", number) == 5 + 7 + 3 + 40 + 60);
  CHECK(sqlite::format_cost("no conversion, 100%", number) == 0);
}

TEST_CASE("a value beyond the limit is refused, and the connection goes on", "[functions]") {
  sqlite::function_limits limits;
  limits.max_value_bytes = 1'000'000;
  calculator db{bounded, "UTF-8", limits};
  auto too_large = "error " + std::to_string(SQLITE_TOOBIG);
  for (const auto* sql :
       {"SELECT zeroblob(1000001)", "SELECT length(randomblob(1000001))", "SELECT hex(zeroblob(600000))",
        "SELECT quote(zeroblob(600000))", "SELECT replace(hex(zeroblob(400000)), '0', 'xx')",
        "SELECT group_concat(hex(zeroblob(400000))) FROM (SELECT 1 UNION ALL SELECT 2)",
        "SELECT hex(zeroblob(400000)) || hex(zeroblob(400000))",
        "WITH RECURSIVE n(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM n) SELECT max(length(x)) FROM n",
        "SELECT json_group_array(hex(zeroblob(400000))) FROM (SELECT 1 UNION ALL SELECT 2)"}) {
    INFO(sql);
    CHECK(db.answer(sql).starts_with(too_large));
  }
  CHECK(db.answer("SELECT length(zeroblob(1000000))") == "1:1000000|");
}

TEST_CASE("a long call ends with SQLITE_INTERRUPT when its statement is due", "[functions]") {
  calculator db{bounded};
  auto text = std::string(5'000'000, 'a');
  db.is_due = true;
  auto interrupted = "error " + std::to_string(SQLITE_INTERRUPT);
  for (const auto* sql : {"SELECT instr(?1, 'b')", "SELECT replace(?1, 'b', 'c')", "SELECT trim(?1, 'b')",
                          "SELECT ?1 LIKE '%b'", "SELECT ?1 GLOB '*b'"})
    CHECK(db.answer(sql, {text}).starts_with(interrupted));
  CHECK(db.answer("SELECT instr('abc', 'c')") == "1:3|");
}

TEST_CASE("LIKE and GLOB use an index range, and schemas that use the functions keep their meaning", "[functions]") {
  calculator builtin_db{builtin};
  calculator bounded_db{bounded};
  for (auto* db : {&builtin_db, &bounded_db}) {
    for (const auto* sql :
         {"CREATE TABLE t(a TEXT, b TEXT COLLATE NOCASE, c TEXT GENERATED ALWAYS AS (replace(a, 'x', 'y')) STORED, "
          "CHECK (a GLOB '[a-z]*' AND instr(a, 'q') = 0))",
          "CREATE INDEX ta ON t(a)", "CREATE INDEX tb ON t(b)", "CREATE INDEX tr ON t(trim(a, 'z'), printf('%s', b))",
          "INSERT INTO t(a, b) VALUES ('axe', 'Abc'), ('bix', 'abd'), ('zaz', 'b')"})
      db->rows(sql);
    CHECK(db->answer("INSERT INTO t(a) VALUES ('quit')").starts_with("error 275"));
  }
  for (const auto* sql :
       {"EXPLAIN QUERY PLAN SELECT * FROM t WHERE a GLOB 'a*'", "EXPLAIN QUERY PLAN SELECT * FROM t WHERE b LIKE 'ab%'",
        "EXPLAIN QUERY PLAN SELECT * FROM t WHERE b LIKE 'ab\\%%' ESCAPE '\\'",
        "EXPLAIN QUERY PLAN SELECT * FROM t WHERE a LIKE 'a%'",
        "EXPLAIN QUERY PLAN SELECT a FROM t WHERE trim(a, 'z') = 'a' AND printf('%s', b) = 'b'",
        "SELECT * FROM t WHERE a GLOB 'a*'", "SELECT * FROM t WHERE b LIKE 'ab%' ORDER BY a",
        "PRAGMA integrity_check"}) {
    INFO(sql);
    CHECK(bounded_db.rows(sql) == builtin_db.rows(sql));
  }
  // The plan uses the index and does not scan the table.
  CHECK_THAT(bounded_db.answer("EXPLAIN QUERY PLAN SELECT * FROM t WHERE a GLOB 'a*'"),
             Catch::Contains("SEARCH t USING INDEX"));
}

} // namespace sluice::test::bounded_functions_test
