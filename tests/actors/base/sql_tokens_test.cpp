#include "actors/base/sql_tokens.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::sql_tokens_test {

namespace {

// Formats each token in angle brackets, with the first letter of its kind before them.
std::string tokens_of(std::string_view sql) {
  std::string result;
  for (auto token = take_token(sql); token.kind != sql_token_kind::end; token = take_token(sql)) {
    result += "wqns"[static_cast<size_t>(token.kind)];
    result += "<" + std::string{token.text} + ">";
  }
  return result;
}

} // namespace

TEST_CASE("SQL is cut into words, quoted texts, numbers and symbols, without blanks and comments") {
  CHECK(tokens_of("SELECT a_1, t.\"b c\" -- d\n/* e */ FROM [x]y;")
        == "w<SELECT>w<a_1>s<,>w<t>s<.>q<\"b c\">w<FROM>q<[x]>w<y>s<;>");
  CHECK(tokens_of("a=1.5e3+0x1F") == "w<a>s<=>n<1>s<.>n<5e3>s<+>n<0x1F>");
  CHECK(tokens_of("a-b/c") == "w<a>s<->w<b>s</>w<c>");
  CHECK(tokens_of("gr\xc3\xbc\xc3\x9f$1 $x") == "w<gr\xc3\xbc\xc3\x9f$1>s<$>w<x>");
  CHECK(tokens_of("").empty());
  CHECK(tokens_of(" \t\n\f\r").empty());
}

TEST_CASE("a quote that is doubled belongs to its token, and one that is never closed goes to the end") {
  CHECK(tokens_of("'it''s' \"a\"\"b\" `c``d` [e]]") == "q<'it''s'>q<\"a\"\"b\">q<`c``d`>q<[e]>s<]>");
  CHECK(tokens_of("x 'a;b") == "w<x>q<'a;b>");
  CHECK(tokens_of("x 'a''") == "w<x>q<'a''>");
  CHECK(tokens_of("x \"") == "w<x>q<\">");
}

TEST_CASE("comments end as SQLite ends them, also at the end of the text") {
  CHECK(tokens_of("/*/ a */ b") == "w<b>");
  CHECK(tokens_of("-- a") == "");
  CHECK(tokens_of("/* a") == "");
  CHECK(tokens_of("a--\nb") == "w<a>w<b>");
  CHECK(tokens_of("\xef\xbb\xbf"
                  "a \xef\xbb\xbf"
                  "b")
        == "w<a>w<b>");
}

TEST_CASE("a keyword is compared without case, and is not looked for in quotes") {
  std::string_view sql = "Create 'create' (";
  CHECK(take_token(sql).is("create"));
  CHECK_FALSE(take_token(sql).is("create"));
  CHECK(take_token(sql).is('('));
  CHECK_FALSE(take_token(sql).is('('));
}

TEST_CASE("a statement begins behind semicolons, blanks and comments") {
  CHECK(skip_to_statement(" ;; -- a\n/* b; */ ; SELECT 1;") == "SELECT 1;");
  CHECK(skip_to_statement("'text'") == "'text'");
  CHECK(skip_to_statement(" ; -- only a comment").empty());
  CHECK(skip_to_statement("").empty());
}

TEST_CASE("the content of a quoted token has no outer quotes, and single inner ones") {
  CHECK(unquoted("'it''s'") == "it's");
  CHECK(unquoted("\"\"\"\"") == "\"");
  CHECK(unquoted("[a]") == "a");
  CHECK(unquoted("`a") == "a");
  CHECK(unquoted("''") == "");
}

TEST_CASE("words are distinguished from comments, numbers and quotes") {
  auto words = words_of("CREATE /* CHECK */ TABLE [My t] (a2 -- COLLATE\n 1e5, 'it''s', \"Q\")");
  std::string all;
  for (const auto& word : words)
    all += word.text + (word.quoted ? "! " : " ");
  CHECK(all == "create table my t! a2 it's! q! ");
  CHECK(has_keyword(words, "table"));
  CHECK_FALSE(has_keyword(words, "q"));
  CHECK(mentions(words, "q"));
  CHECK_FALSE(mentions(words, "check"));
}

} // namespace sluice::test::sql_tokens_test
