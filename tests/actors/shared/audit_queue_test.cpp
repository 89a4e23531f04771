#include "actors/shared/audit_queue.hpp"
#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

#include <stdexcept>

namespace sluice::test::audit_queue_test {

using namespace std::chrono_literals;

namespace {

struct fixture {
  std::shared_ptr<fake_clock> time = std::make_shared<fake_clock>();
  audit_queue queue{time};
  std::vector<std::chrono::milliseconds> wakes;

  fixture() {
    queue.waker().set([this](std::chrono::milliseconds delay) { wakes.push_back(delay); });
  }

  void push(size_t count, request_type type = request_type::write, int64_t ts_us = 0) {
    audit_batch batch;
    batch.records.resize(count);
    batch.records.back().type = type;
    batch.records.back().ts_us = ts_us;
    queue.push(std::move(batch));
  }
};

} // namespace

TEST_CASE("the first record wakes the audit a moment later, and those that follow do not") {
  fixture f;
  f.push(1);
  f.push(1'000);
  CHECK(f.wakes == std::vector{audit_queue::interval});
  f.time->advance(audit_queue::interval);
  f.push(1);
  CHECK(f.wakes.size() == 2);
  CHECK(f.queue.size() == 1'002);
}

TEST_CASE("many records wake the audit at once, and again only after it has taken them") {
  fixture f;
  f.push(audit_queue::wake_at);
  CHECK(f.wakes == std::vector{0ms});
  f.push(1);
  CHECK(f.wakes.size() == 1);
  CHECK(f.queue.take().batches.size() == 2);
  CHECK(f.queue.size() == 0);
  f.push(audit_queue::wake_at);
  CHECK(f.wakes == std::vector{0ms, 0ms});
}

TEST_CASE("an event of a database file wakes the audit at once, and an empty batch does not") {
  fixture f;
  f.queue.push({});
  CHECK(f.wakes.empty());
  CHECK(f.queue.take().batches.empty());
  f.push(2, request_type::file_event);
  CHECK(f.wakes == std::vector{0ms});
}

TEST_CASE("a full queue drops the oldest batches, and counts their records") {
  fixture f;
  f.push(10, request_type::write, 7);
  f.push(20, request_type::write, 8);
  f.push(audit_queue::max_records - 15, request_type::write, 9);
  auto taken = f.queue.take();
  CHECK(taken.dropped == 30);
  CHECK(taken.dropped_until_us == 8);
  CHECK(taken.batches.size() == 1);
  f.push(audit_queue::max_records + 1);
  taken = f.queue.take();
  CHECK(taken.dropped == 0);
  CHECK(taken.batches.size() == 1);
}

TEST_CASE("after the audit was restarted, or had no memory for a wake-up, the next record wakes it") {
  fixture f;
  f.push(1);
  f.push(audit_queue::wake_at);
  REQUIRE(f.wakes.size() == 2);
  f.queue.waker().forget();
  f.push(1);
  CHECK(f.wakes.size() == 3);
  f.queue.take();
  f.queue.waker().forget();
  auto calls = 0;
  f.queue.waker().set([&](std::chrono::milliseconds) {
    ++calls;
    throw std::runtime_error{"no memory"};
  });
  f.push(1);
  f.push(1);
  CHECK(calls == 2);
  f.queue.waker().close();
  f.push(1);
  CHECK(calls == 2);
}

} // namespace sluice::test::audit_queue_test
