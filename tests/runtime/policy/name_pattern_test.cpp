#include "runtime/policy/name_pattern.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>

namespace sluice::test::name_pattern_test {

namespace {

// The definition, as plainly as possible.
bool matches_by_definition(std::string_view pattern, std::string_view text) {
  if (pattern.empty())
    return text.empty();
  if (pattern.front() == '*')
    return matches_by_definition(pattern.substr(1), text)
           || (!text.empty() && matches_by_definition(pattern, text.substr(1)));
  return !text.empty() && pattern.front() == text.front() && matches_by_definition(pattern.substr(1), text.substr(1));
}

} // namespace

TEST_CASE("a star stands for any bytes, and everything else for itself", "[policy]") {
  CHECK(matches("planner-*", "planner-1"));
  CHECK(matches("planner-*", "planner-"));
  CHECK(matches("*", ""));
  CHECK(matches("*", "a/b\nc"));
  CHECK(matches("*-*-z", "a-b-c-z"));
  CHECK_FALSE(matches("planner-*", "planner"));
  CHECK_FALSE(matches("planner-*", "a-planner-1"));
  CHECK_FALSE(matches("planner-*", "Planner-1"));
  CHECK_FALSE(matches("a.c", "abc"));
  CHECK_FALSE(matches("a?c", "abc"));
  CHECK_FALSE(matches("[ab]", "a"));
  CHECK_FALSE(matches("", "a"));
  CHECK_FALSE(matches("a", "*"));
}

TEST_CASE("patterns match as their definition says", "[policy]") {
  std::mt19937 random{7};
  auto text_of = [&](std::string_view letters) {
    std::string result;
    for (auto length = random() % 8; length > 0; --length)
      result += letters[random() % letters.size()];
    return result;
  };
  for (int i = 0; i < 20'000; ++i) {
    auto pattern = text_of("ab*");
    auto text = text_of("ab*");
    INFO(pattern << " " << text);
    REQUIRE(matches(pattern, text) == matches_by_definition(pattern, text));
  }
}

TEST_CASE("a pattern that matches another one matches all that this one matches", "[policy]") {
  std::mt19937 random{11};
  auto text_of = [&](std::string_view letters) {
    std::string result;
    for (auto length = random() % 5; length > 0; --length)
      result += letters[random() % letters.size()];
    return result;
  };
  for (int i = 0; i < 20'000; ++i) {
    auto wide = text_of("ab*");
    auto narrow = text_of("ab*");
    auto text = text_of("ab");
    INFO(wide << " " << narrow << " " << text);
    if (matches(wide, narrow) && matches(narrow, text))
      REQUIRE(matches(wide, text));
  }
}

} // namespace sluice::test::name_pattern_test
