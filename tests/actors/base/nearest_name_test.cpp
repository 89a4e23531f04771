#include "actors/base/nearest_name.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <string>

namespace sluice::test::nearest_name_test {

TEST_CASE("an insertion, deletion, substitution or transposition of a letter is one edit") {
  CHECK(edit_distance("cache", "cache") == 0);
  CHECK(edit_distance("cache", "caches") == 1);
  CHECK(edit_distance("cache", "cahe") == 1);
  CHECK(edit_distance("cache", "cacke") == 1);
  CHECK(edit_distance("cache", "cahce") == 1);
  CHECK(edit_distance("", "tier") == 4);
  CHECK(edit_distance("abc", "xyz") == 3);
}

TEST_CASE("the nearest name is the first of those with the fewest edits, up to a third of the letters") {
  constexpr std::array<std::string_view, 3> known{"write", "read", "status"};
  CHECK(nearest("wirte", known) == "write");
  CHECK(nearest("stats", known) == "status");
  CHECK(nearest("reads", known) == "read");
  CHECK(nearest("nonsense", known).empty());
  CHECK(nearest("", known).empty());
  CHECK(nearest(std::string(1'000, 'w'), known).empty());
}

} // namespace sluice::test::nearest_name_test
