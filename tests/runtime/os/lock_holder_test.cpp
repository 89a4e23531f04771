#include "runtime/os/lock_holder.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::lock_holder_test {

TEST_CASE("locks on a file are found in the list of the system") {
  constexpr const char* listing = "1: POSIX  ADVISORY  WRITE 4711 08:01:1234567 1073741825 1073741825\n"
                                  "1: -> POSIX  ADVISORY  WRITE 4712 08:01:1234567 1073741825 1073741825\n"
                                  "2: FLOCK  ADVISORY  WRITE 4713 08:01:1234567 0 EOF\n"
                                  "3: POSIX  ADVISORY  READ  4714 08:01:1234567 1073741826 1073742335\n"
                                  "4: POSIX  ADVISORY  WRITE 4715 08:01:9999999 0 EOF\n"
                                  "5: OFDLCK ADVISORY  WRITE -1 08:01:1234567 0 EOF\n"
                                  "6: POSIX  ADVISORY  WRITE 0 08:01:1234567 0 EOF\n"
                                  "7: POSIX  ADVISORY\n";
  auto found = locks_in(listing, 1'234'567);
  REQUIRE(found.size() == 2);
  CHECK((found[0].pid == 4'711 && found[0].excludes && found[0].first == 1'073'741'825));
  CHECK((found[1].pid == 4'714 && !found[1].excludes && found[1].last == 1'073'742'335));
  auto other = locks_in(listing, 9'999'999);
  REQUIRE(other.size() == 1);
  CHECK(other[0].last > 1'000'000'000'000);
  CHECK(locks_in("", 1).empty());
}

} // namespace sluice::test::lock_holder_test
