#include "actors/utf8_text.hpp"
#include "runtime/sqlite/utf8.hpp"

#include <catch2/catch.hpp>

#include <random>

namespace sluice::test::utf8_text_test {

namespace {

const std::string mark = "\xef\xbf\xbd";

std::string made_valid(std::string_view text) { return take_characters(text, 1'000'000).text; }

} // namespace

TEST_CASE("valid text comes out as it is") {
  for (std::string_view text : {"", "a", "exactly8", "a longer text in plain ASCII", "gr\xc3\xbc\xc3\x9f dich",
                                "\xe2\x82\xac 5", "\xf0\x9f\x98\x80", "\xed\x9f\xbf\xee\x80\x80",
                                "\xe0\xa0\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf \xc2\x80 \xdf\xbf"}) {
    auto x = take_characters(text, 1'000);
    CHECK(x.text == text);
    CHECK_FALSE(x.cut);
  }
  std::string with_zero("a\0b", 3);
  CHECK(made_valid(with_zero) == with_zero);
}

TEST_CASE("each byte that belongs to no character is replaced by one mark") {
  CHECK(made_valid("\xff") == mark);
  CHECK(made_valid("a\x80z") == "a" + mark + "z");
  // Cut off in the middle of a character.
  CHECK(made_valid("\xc3") == mark);
  CHECK(made_valid("\xe2\x82") == mark + mark);
  CHECK(made_valid("\xf0\x9f\x98") == mark + mark + mark);
  CHECK(made_valid("\xe2\x82z") == mark + mark + "z");
  CHECK(made_valid("\xc3(") == mark + "(");
  // Overlong forms, surrogates, and what is beyond Unicode.
  CHECK(made_valid("\xc0\xaf") == mark + mark);
  CHECK(made_valid("\xc1\xbf") == mark + mark);
  CHECK(made_valid("\xe0\x9f\xbf") == mark + mark + mark);
  CHECK(made_valid("\xed\xa0\x80") == mark + mark + mark);
  CHECK(made_valid("\xf0\x8f\xbf\xbf") == mark + mark + mark + mark);
  CHECK(made_valid("\xf4\x90\x80\x80") == mark + mark + mark + mark);
  CHECK(made_valid("\xf5\x80\x80\x80") == mark + mark + mark + mark);
  // What follows a bad byte is seen.
  CHECK(made_valid("\xe2\xc3\xbc") == mark + "\xc3\xbc");
}

TEST_CASE("a text is cut between characters, and what fits exactly is not cut") {
  CHECK(take_characters("abc", 3).text == "abc");
  CHECK_FALSE(take_characters("abc", 3).cut);
  CHECK(take_characters("abcd", 3).text == "abc");
  CHECK(take_characters("abcd", 3).cut);
  CHECK(take_characters("a\xe2\x82\xac\xe2\x82\xac", 2).text == "a\xe2\x82\xac");
  CHECK(take_characters("a\xe2\x82\xac\xe2\x82\xac", 2).cut);
  CHECK_FALSE(take_characters("a\xe2\x82\xac\xe2\x82\xac", 3).cut);
  CHECK(take_characters("\xff\xff", 1).text == mark);
  CHECK(take_characters("\xff\xff", 1).cut);
  CHECK(take_characters("a long text with a sharp s: \xc3\x9f", 28).text == "a long text with a sharp s: ");
  CHECK(take_characters("x", 0).cut);
  CHECK_FALSE(take_characters("", 0).cut);
}

TEST_CASE("whatever goes in, valid UTF-8 of no more characters than allowed comes out") {
  std::mt19937_64 random{7};
  // Bytes that are interesting side by side.
  constexpr std::string_view bytes = "az\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc2\xdf\xe0\xe2\xed\xef\xf0\xf1\xf4\xf5\xff";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto i = random() % 24; i > 0; --i)
      text += bytes[random() % bytes.size()];
    auto most = random() % 12;
    auto x = take_characters(text, most);
    auto again = take_characters(x.text, most);
    REQUIRE(sqlite::is_utf8(x.text));
    // Boost's opinion of the same bytes.
    REQUIRE((made_valid(text) == text) == sqlite::is_utf8(text));
    REQUIRE(again.text == x.text);
    REQUIRE_FALSE(again.cut);
    if (!x.cut)
      REQUIRE(take_characters(text, most + 1).text == x.text);
  }
}

} // namespace sluice::test::utf8_text_test
