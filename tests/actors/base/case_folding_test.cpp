#include "actors/base/case_folding.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::case_folding_test {

TEST_CASE("the 26 ASCII letters are folded, and nothing else is") {
  std::string all;
  for (int c = 0; c < 256; ++c)
    all += static_cast<char>(c);
  auto folded = folded_name(all);
  auto capitals = in_capitals(all);
  for (size_t i = 0; i < all.size(); ++i) {
    auto is_capital = i >= 'A' && i <= 'Z';
    auto is_small = i >= 'a' && i <= 'z';
    CHECK(folded[i] == (is_capital ? all[i + 32] : all[i]));
    CHECK(capitals[i] == (is_small ? all[i - 32] : all[i]));
    CHECK(is_ascii_letter(all[i]) == (is_capital || is_small));
  }
}

TEST_CASE("names are the same if they differ in the case of ASCII letters only") {
  CHECK(same_name("Items", "iTEMS"));
  CHECK(same_name("", ""));
  CHECK_FALSE(same_name("items", "item"));
  CHECK_FALSE(same_name("\xc3\xa4", "\xc3\x84"));
  // These pairs differ in the bit that distinguishes small letters from capitals.
  CHECK_FALSE(same_name("[", "{"));
  CHECK_FALSE(same_name("@", "`"));
}

TEST_CASE("a text begins with a name, whatever the case of either") {
  CHECK(starts_with_name("CREATE View v", "create view"));
  CHECK(starts_with_name("sluice:audit", "SLUICE:"));
  CHECK(starts_with_name("any", ""));
  CHECK_FALSE(starts_with_name("creat", "create"));
  CHECK_FALSE(starts_with_name(" create", "create"));
}

} // namespace sluice::test::case_folding_test
