#include "runtime/store/live_policy.hpp"

#include "runtime/store/config.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace sluice::test::live_policy_test {

using std::chrono::milliseconds;

namespace {

constexpr access_demand sql{method_access::raw_sql, "read"};

struct store {
  temp_dir dir;
  fake_clock time;
  std::vector<std::string> changes;

  // Replaces the file, with the time of the fake clock.
  void write(const std::string& text) {
    std::ofstream{dir / "new"} << text;
    auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(time.wall_now().time_since_epoch()).count();
    timespec at{now / 1'000'000'000, now % 1'000'000'000};
    timespec times[2]{at, at};
    REQUIRE(utimensat(AT_FDCWD, (dir / "new").c_str(), times, 0) == 0);
    std::filesystem::rename(dir / "new", dir / "sluice.toml");
  }

  live_policy open() {
    auto first = load_policy(dir.path());
    REQUIRE(first);
    return live_policy{dir.path(), *first, time};
  }

  void watch(live_policy& policy) {
    policy.on_change([this](std::string_view text, bool is_mistake) {
      changes.push_back((is_mistake ? "mistake: " : "") + std::string{text});
    });
  }

  void pass(milliseconds by = milliseconds{100}) { time.advance(by); }
};

bool may_send_sql(live_policy& policy, std::string_view agent) { return !policy.admit({agent}, sql).refused; }

} // namespace

TEST_CASE("a changed policy is in force after 100 ms", "[policy]") {
  store in;
  in.write("[policy]\nraw_sql = [\"a\"]\n");
  auto policy = in.open();
  in.watch(policy);
  CHECK(may_send_sql(policy, "a"));
  CHECK_FALSE(may_send_sql(policy, "b"));
  in.write("[policy]\nraw_sql = [\"b\", \"c\"]\n");
  in.pass();
  CHECK_FALSE(may_send_sql(policy, "a"));
  CHECK(may_send_sql(policy, "b"));
  CHECK(in.changes == std::vector<std::string>{"another policy is in force: " + policy.current()->hash()});
}

TEST_CASE("a policy that comes into being is in force", "[policy]") {
  store in;
  auto policy = in.open();
  CHECK(may_send_sql(policy, "a"));
  in.write("[policy]\n");
  in.pass();
  CHECK_FALSE(may_send_sql(policy, "a"));
}

TEST_CASE("a file is not read while it is being written", "[policy]") {
  store in;
  in.write("[policy]\nraw_sql = [\"a\"]\n");
  auto policy = in.open();
  in.pass(milliseconds{150});
  in.write("[policy]\nraw_sql = [\"bb\"]\n");
  in.pass(milliseconds{50});
  CHECK(may_send_sql(policy, "a"));
  in.pass(milliseconds{50});
  // It was looked at 50 ms ago.
  CHECK(may_send_sql(policy, "a"));
  in.pass(milliseconds{50});
  CHECK_FALSE(may_send_sql(policy, "a"));
}

TEST_CASE("a mistake leaves the earlier policy in force, and is shown until it is corrected", "[policy]") {
  store in;
  in.write("[policy]\nraw_sql = [\"a\"]\n");
  auto policy = in.open();
  in.watch(policy);
  for (const auto* mistake :
       {"[polcy]\n", "[policy]\nraw = []\n", "[policy]\n[[agent]]\nname = \"a\"\ntier = \"gold\"\n", "[policy\n"}) {
    in.write(mistake);
    in.pass();
    CHECK(may_send_sql(policy, "a"));
    CHECK_FALSE(may_send_sql(policy, "b"));
    REQUIRE(policy.mistake());
    CHECK(policy.mistake()->message.starts_with("sluice.toml, line "));
    CHECK(in.changes.back() == "mistake: " + policy.mistake()->message);
  }
  CHECK(in.changes.size() == 4);
  in.write("[policy]\nraw_sql = [\"a\", \"b\"]\n");
  in.pass();
  CHECK(may_send_sql(policy, "b"));
  CHECK_FALSE(policy.mistake());
}

TEST_CASE("a policy stays in force when the file loses it", "[policy]") {
  store in;
  in.write("[policy]\nraw_sql = [\"a\"]\n");
  auto policy = in.open();
  in.write("cache = false\n");
  in.pass();
  CHECK_FALSE(may_send_sql(policy, "b"));
  REQUIRE(policy.mistake());
  std::filesystem::remove(in.dir / "sluice.toml");
  in.pass();
  CHECK_FALSE(may_send_sql(policy, "b"));
  CHECK(policy.mistake()->message.find("no [policy] any more") != std::string::npos);
}

TEST_CASE("a change of other settings is no change of the policy", "[policy]") {
  store in;
  in.write("[policy]\nraw_sql = [\"a\"]\n");
  auto policy = in.open();
  in.watch(policy);
  in.write("cache = false\n# A comment.\n[policy]\nraw_sql = [\"a\"]\n");
  in.pass();
  CHECK(may_send_sql(policy, "a"));
  CHECK(in.changes.empty());
}

} // namespace sluice::test::live_policy_test
