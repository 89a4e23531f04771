#include "runtime/store/led_folder.hpp"

#include "runtime/store/store_lock.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <future>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace sluice::test::led_folder_test {

using Catch::Contains;

namespace {

struct fixture {
  temp_dir dir;
  store_root root = open();
  store_lock lock = take();

  store_root open() const {
    auto result = store_root::open(dir.path());
    REQUIRE(result);
    return std::move(*result);
  }

  store_lock take() const {
    auto result = store_lock::acquire(root, std::chrono::milliseconds{0});
    REQUIRE(result);
    return std::move(*result);
  }
};

} // namespace

TEST_CASE("a folder is led here as often as it was noted, and in this process alone") {
  temp_dir dir;
  auto folder = *identity_of(dir.path());
  CHECK_FALSE(is_led_here(folder));
  {
    led_folder one{folder};
    led_folder again{folder};
    CHECK(is_led_here(folder));
    CHECK_FALSE(was_led_before_fork(folder));
    auto child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
      _exit(!is_led_here(folder) && was_led_before_fork(folder) ? 0 : 1);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  }
  CHECK_FALSE(is_led_here(folder));
}

TEST_CASE("no caller waits for a broker of the same process, unless it is ending") {
  fixture r;
  r.lock.begin_to_lead(r.root);
  auto refused = store_lock::acquire(r.root, std::chrono::hours{1});
  REQUIRE_FALSE(refused);
  CHECK(describe(refused.error()).code == errc::busy);
  CHECK(describe(refused.error()).attempts == 1);
  CHECK_THAT(describe(refused.error()).message,
             Contains("this process (pid " + std::to_string(getpid()) + ") leads this store already"));
  r.lock.is_ending();
  auto waiting = std::async(std::launch::async, [&] { return store_lock::acquire(r.root, std::chrono::minutes{1}); });
  { auto gone = std::move(r.lock); }
  CHECK(waiting.get());
}

TEST_CASE("a lock that only looks for a broker is waited for in its process, too") {
  fixture r;
  auto waiting = std::async(std::launch::async, [&] { return store_lock::acquire(r.root, std::chrono::minutes{1}); });
  { auto gone = std::move(r.lock); }
  CHECK(waiting.get());
}

} // namespace sluice::test::led_folder_test
