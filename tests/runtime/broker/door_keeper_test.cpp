#include "runtime/broker/door_keeper.hpp"

#include <catch2/catch.hpp>

#include <future>
#include <thread>

namespace sluice::test::door_keeper_test {

TEST_CASE("one front door at a time, and none once the broker has been shut down") {
  door_keeper x;
  CHECK_FALSE(x.enter([] {}));
  CHECK(code_of(x.enter([] {})) == errc::invalid_request);
  x.leave();
  auto closed = 0;
  CHECK_FALSE(x.enter([&] { ++closed; }));
  x.close();
  x.close();
  CHECK(closed == 1);
  x.leave();
  CHECK(code_of(x.enter([] {})) == errc::unavailable);
}

TEST_CASE("a thread that closes it, or is about to destroy the door, waits until it is closed") {
  door_keeper x;
  std::promise<void> begun;
  std::promise<void> end;
  std::atomic<bool> is_closed = false;
  REQUIRE_FALSE(x.enter([&] {
    begun.set_value();
    end.get_future().wait();
    // As a door does that was stopped by its broker.
    x.leave();
    is_closed = true;
  }));
  std::thread first{[&] { x.close(); }};
  begun.get_future().wait();
  auto second = std::async(std::launch::async, [&] {
    x.close();
    return is_closed.load();
  });
  auto destroying = std::async(std::launch::async, [&] {
    x.await_close();
    return is_closed.load();
  });
  end.set_value();
  CHECK(second.get());
  CHECK(destroying.get());
  first.join();
}

} // namespace sluice::test::door_keeper_test
