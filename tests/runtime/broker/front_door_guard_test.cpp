#include "runtime/broker/front_door_guard.hpp"

#include <catch2/catch.hpp>

#include <future>
#include <thread>

namespace sluice::test::front_door_guard_test {

TEST_CASE("a broker has one front door at a time, and none after its shutdown") {
  front_door_guard guard;
  CHECK_FALSE(guard.enter([] {}));
  CHECK(code_of(guard.enter([] {})) == errc::invalid_request);
  guard.leave();
  auto closed = 0;
  CHECK_FALSE(guard.enter([&] { ++closed; }));
  guard.close();
  guard.close();
  CHECK(closed == 1);
  guard.leave();
  CHECK(code_of(guard.enter([] {})) == errc::unavailable);
}

TEST_CASE("a thread that closes or destroys the front door waits until it is closed") {
  front_door_guard guard;
  std::promise<void> begun;
  std::promise<void> end;
  std::atomic<bool> is_closed = false;
  REQUIRE_FALSE(guard.enter([&] {
    begun.set_value();
    end.get_future().wait();
    // Does what a front door does that its broker has stopped.
    guard.leave();
    is_closed = true;
  }));
  std::thread first{[&] { guard.close(); }};
  begun.get_future().wait();
  auto second = std::async(std::launch::async, [&] {
    guard.close();
    return is_closed.load();
  });
  auto destroying = std::async(std::launch::async, [&] {
    guard.await_close();
    return is_closed.load();
  });
  end.set_value();
  CHECK(second.get());
  CHECK(destroying.get());
  first.join();
}

} // namespace sluice::test::front_door_guard_test
