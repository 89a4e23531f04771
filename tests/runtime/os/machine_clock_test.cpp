#include "runtime/os/machine_clock.hpp"

#include <catch2/catch.hpp>

#include <fstream>

namespace sluice::test::machine_clock_test {

TEST_CASE("in the initial time namespace the boot of the machine alone identifies the clock") {
  CHECK(clock_identity("boot", "time:[4026531834]", "monotonic 0 0\nboottime 0 0\n") == "boot");
  CHECK(clock_identity("boot", "", "") == "boot");
}

TEST_CASE("another time namespace has another clock, and so has one with the same number and other offsets") {
  auto one = clock_identity("boot", "time:[4026532177]", "monotonic 90000 0\nboottime 90000 0\n");
  CHECK(one == "boot/time:[4026532177]/monotonic/90000/0/boottime/90000/0");
  CHECK(one != clock_identity("boot", "time:[4026532178]", "monotonic 90000 0\nboottime 90000 0\n"));
  CHECK(one != clock_identity("boot", "time:[4026532177]", "monotonic 90000 0\nboottime 80000 0\n"));
  CHECK(clock_identity("boot", "time:[4026532177]", "") == "boot/time:[4026532177]");
}

TEST_CASE("a clock has no identity if the boot of the machine is unknown") {
  CHECK(clock_identity("", "time:[4026532177]", "boottime 90000 0\n").empty());
}

TEST_CASE("the identity of the machine's clock begins with the boot id, and has no spaces") {
  std::string boot_id;
  std::ifstream{"/proc/sys/kernel/random/boot_id"} >> boot_id;
  auto identity = machine_clock{}.boot_id();
  CHECK(identity.starts_with(boot_id));
  CHECK(identity.find_first_of(" \n") == std::string::npos);
}

} // namespace sluice::test::machine_clock_test
