#include "actors/base/utf8_text.hpp"

#include <catch2/catch.hpp>

#include <boost/locale/utf.hpp>

#include <random>

namespace sluice::test::utf8_text_test {

namespace {

std::string made_valid(std::string_view text) { return take_characters(text, 1'000'000).text; }

bool valid_to_boost(std::string_view text) {
  const auto* at = text.data();
  const auto* end = at + text.size();
  while (at != end) {
    auto c = boost::locale::utf::utf_traits<char>::decode(at, end);
    if (c == boost::locale::utf::illegal || c == boost::locale::utf::incomplete)
      return false;
  }
  return true;
}

} // namespace

TEST_CASE("valid text is unchanged") {
  for (std::string_view text : {"", "a", "exactly8", "a longer text in plain ASCII", "gr\xc3\xbc\xc3\x9f dich",
                                "\xe2\x82\xac 5", "\xf0\x9f\x98\x80", "\xed\x9f\xbf\xee\x80\x80",
                                "\xe0\xa0\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf \xc2\x80 \xdf\xbf"}) {
    auto result = take_characters(text, 1'000);
    CHECK(result.text == text);
    CHECK_FALSE(result.cut);
  }
  std::string with_zero("a\0b", 3);
  CHECK(made_valid(with_zero) == with_zero);
}

TEST_CASE("each byte that belongs to no character is escaped, and the next character is shown") {
  CHECK(made_valid("\xff") == "\\xff");
  CHECK(made_valid("a\x80z") == "a\\x80z");
  // Cut off in the middle of a character.
  CHECK(made_valid("\xc3") == "\\xc3");
  CHECK(made_valid("\xe2\x82") == "\\xe2\\x82");
  CHECK(made_valid("\xf0\x9f\x98") == "\\xf0\\x9f\\x98");
  CHECK(made_valid("\xe2\x82z") == "\\xe2\\x82z");
  CHECK(made_valid("\xc3(") == "\\xc3(");
  // Overlong forms, surrogates, and what is beyond Unicode.
  CHECK(made_valid("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(made_valid("\xc1\xbf") == "\\xc1\\xbf");
  CHECK(made_valid("\xe0\x9f\xbf") == "\\xe0\\x9f\\xbf");
  CHECK(made_valid("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(made_valid("\xf0\x8f\xbf\xbf") == "\\xf0\\x8f\\xbf\\xbf");
  CHECK(made_valid("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(made_valid("\xf5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");
  CHECK(made_valid("\xe2\xc3\xbc") == "\\xe2\xc3\xbc");
}

TEST_CASE("a text is cut between characters, and a text that fits exactly is not cut") {
  CHECK(take_characters("abc", 3).text == "abc");
  CHECK_FALSE(take_characters("abc", 3).cut);
  CHECK(take_characters("abcd", 3).text == "abc");
  CHECK(take_characters("abcd", 3).cut);
  CHECK(take_characters("a\xe2\x82\xac\xe2\x82\xac", 2).text == "a\xe2\x82\xac");
  CHECK(take_characters("a\xe2\x82\xac\xe2\x82\xac", 2).cut);
  CHECK_FALSE(take_characters("a\xe2\x82\xac\xe2\x82\xac", 3).cut);
  CHECK(take_characters("\xff\xff", 4).text == "\\xff");
  CHECK(take_characters("\xff\xff", 4).cut);
  CHECK_FALSE(take_characters("\xff\xff", 8).cut);
  CHECK(take_characters("a long text with a sharp s: \xc3\x9f", 28).text == "a long text with a sharp s: ");
  CHECK(take_characters("x", 0).cut);
  CHECK_FALSE(take_characters("", 0).cut);
}

TEST_CASE("take_characters gives valid UTF-8 of at most the given number of characters for any input") {
  std::mt19937_64 random{7};
  // The bounds of UTF-8's ranges of lead and continuation bytes, mixed at random.
  constexpr std::string_view bytes = "az\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc2\xdf\xe0\xe2\xed\xef\xf0\xf1\xf4\xf5\xff";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto i = random() % 24; i > 0; --i)
      text += bytes[random() % bytes.size()];
    auto most = random() % 12;
    auto result = take_characters(text, most);
    auto again = take_characters(result.text, most);
    REQUIRE(valid_to_boost(result.text));
    // Boost's decoder must agree.
    REQUIRE(is_utf8(text) == valid_to_boost(text));
    REQUIRE((made_valid(text) == text) == valid_to_boost(text));
    REQUIRE(again.text == result.text);
    REQUIRE_FALSE(again.cut);
    if (!result.cut)
      REQUIRE(take_characters(text, most + 1).text == result.text);
  }
}

TEST_CASE("is_utf8 accepts valid UTF-8 only, and first_character decodes it") {
  for (std::string_view valid :
       {"", "plain", "eight by eight by eight", "gr\xc3\xbc\xc3\x9f dich, long enough for a word",
        "\xef\xbf\xbe \xef\xbb\xbf", "\xf4\x8f\xbf\xbf"})
    CHECK(is_utf8(valid));
  for (std::string_view wrong : {"\xff", "caf\xe9", "\xed\xa0\x80", "\xc0\x80", "12345678\x80", "\xc3", "\xf0\x9f\x98"})
    CHECK_FALSE(is_utf8(wrong));
  CHECK(is_utf8(std::string_view{"a\0b", 3}));
  CHECK(first_character("\xe2\x82\xac").code_point == 0x20ac);
  CHECK(first_character("\xf0\x9f\x98\x80z").code_point == 0x1f600);
  CHECK(first_character("").size == 0);
}

TEST_CASE("utf8_prefix ends with a whole character") {
  constexpr std::string_view text = "a\xe2\x82\xac"
                                    "b";
  CHECK(utf8_prefix(text, 9) == text);
  CHECK(utf8_prefix(text, 5) == text);
  CHECK(utf8_prefix(text, 4) == "a\xe2\x82\xac");
  for (auto most : {size_t{1}, size_t{2}, size_t{3}})
    CHECK(utf8_prefix(text, most) == "a");
  CHECK(utf8_prefix(text, 0).empty());
  CHECK(utf8_prefix("\x80\x80\x80", 2).empty());
}

TEST_CASE("invalid bytes are escaped one by one, and nothing else is changed") {
  CHECK(escape_invalid_utf8("caf\xe9") == "caf\\xe9");
  CHECK(escape_invalid_utf8("\xe2\x82z\xff") == "\\xe2\\x82z\\xff");
  for (std::string_view text : {"", "plain and long enough", "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80", "\x1b\n"})
    CHECK(escape_invalid_utf8(text) == text);
}

TEST_CASE("has_control reports characters that a terminal acts on, and no printable ones") {
  for (std::string_view text : {"\x1b[2J", "a\tb", "\x7f", "\xc2\x9bm", "\x9bm", "\xe2\x80\xaeth", "\xe2\x81\xa6x",
                                "\xd8\x9c", "\xe2\x80\xa8", "\xe2\x80\x8f", "\xef\xbb\xbf", "\xef\xbf\xbe", "tail\n"})
    CHECK(has_control(text));
  CHECK(has_control(std::string_view{"a\0", 2}));
  for (std::string_view text : {"", "plain", "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
                                "\xd7\xa9\xd7\x9c", "\xc2\xa0", "caf\xe9"})
    CHECK_FALSE(has_control(text));
}

} // namespace sluice::test::utf8_text_test
