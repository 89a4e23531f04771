#include "actors/log/log_queue.hpp"
#include "tests/support/fake_clock.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <set>
#include <thread>

namespace sluice::test::log_queue_test {

using namespace std::chrono_literals;

namespace {

struct fixture {
  std::shared_ptr<fake_clock> time = std::make_shared<fake_clock>();
  log_queue aut;
  std::vector<std::chrono::milliseconds> wakes;

  explicit fixture(log_limits limits = {}) : aut(limits, time) {
    aut.waker().set([this](std::chrono::milliseconds delay) { wakes.push_back(delay); });
  }

  void push(int first, int count = 1) {
    for (auto i = first; i < first + count; ++i)
      aut.push(log_level::info, "test", std::to_string(i));
  }

  log_status status() const {
    log_status result;
    aut.describe(result);
    return result;
  }

  std::vector<std::string> take(size_t most = 1'000'000) {
    std::vector<std::string> result;
    auto batch = aut.take(most);
    for (auto& entry : batch.entries)
      result.push_back(entry.message);
    aut.written(result.size());
    return result;
  }
};

using texts = std::vector<std::string>;

} // namespace

TEST_CASE("entries are returned unchanged, in order, with the time of the call") {
  fixture f;
  auto before = wall_us(*f.time);
  f.aut.push(log_level::warning, "part", "first", "alice");
  f.time->advance(1s);
  f.aut.push(log_level::debug, "", "second");
  auto batch = f.aut.take(10);
  REQUIRE(batch.entries.size() == 2);
  const auto& result = batch.entries[0];
  CHECK(result.ts_us == before);
  CHECK(result.level == log_level::warning);
  CHECK(result.source == "part");
  CHECK(result.agent == "alice");
  CHECK(result.message == "first");
  CHECK(batch.entries[1].ts_us == before + 1'000'000);
  CHECK(batch.missing == 0);
}

TEST_CASE("a full queue drops the oldest and counts exactly") {
  fixture f{{3, 100, 2s, 100}};
  f.push(0, 5);
  CHECK(f.status().dropped == 2);
  CHECK(f.status().queued == 3);
  auto batch = f.aut.take(10);
  CHECK(batch.missing == 2);
  CHECK(batch.entries[0].message == "2");
  f.aut.written(3);
  CHECK(f.status().queued == 0);
  f.push(5);
  CHECK(f.aut.take(10).missing == 0);
}

TEST_CASE("the newest entry is never dropped, even if all other room is in use") {
  fixture f{{2, 100, 2s, 100}};
  f.push(0, 2);
  auto batch = f.aut.take(2);
  f.push(2);
  CHECK(f.status().dropped == 0);
  f.push(3);
  CHECK(f.status().dropped == 1);
  CHECK(f.status().queued == 3);
  f.aut.written(2);
  CHECK(f.take() == texts{"3"});
}

TEST_CASE("the first entry has the queue flushed after the interval, and only once") {
  fixture f;
  CHECK(f.wakes.empty());
  f.push(0, 49);
  CHECK(f.wakes == std::vector{2'000ms});
  f.time->advance(2s);
  CHECK(f.take().size() == 49);
  f.push(49);
  CHECK(f.wakes == std::vector{2'000ms, 2'000ms});
}

TEST_CASE("a full batch is flushed at once, with one wake-up until the queue is emptied") {
  fixture f;
  f.push(0, 200);
  CHECK(f.wakes == std::vector{2'000ms, 0ms});
  f.take();
  f.push(0, 50);
  // The wake-up after the interval still comes.
  CHECK(f.wakes == std::vector{2'000ms, 0ms, 0ms});
}

TEST_CASE("no second wake-up is scheduled for the same moment, however often the queue is emptied before") {
  fixture f;
  for (int i = 0; i < 100; ++i) {
    f.push(i);
    f.take();
    f.time->advance(10ms);
  }
  CHECK(f.wakes == std::vector{2'000ms});
  f.time->advance(1s);
  f.push(100);
  CHECK(f.wakes == std::vector{2'000ms, 2'000ms});
}

TEST_CASE("a scheduled wake-up can be forgotten") {
  fixture f;
  f.push(0, 60);
  f.aut.waker().forget();
  f.take();
  f.push(0, 60);
  CHECK(f.wakes == std::vector{2'000ms, 0ms, 2'000ms, 0ms});
}

TEST_CASE("entries that could not be written return to the front of the queue, and those without room are lost") {
  fixture f{{4, 100, 2s, 100}};
  f.push(0, 3);
  auto batch = f.aut.take(2);
  f.aut.put_back(std::move(batch));
  CHECK(f.status().queued == 3);
  CHECK(f.status().lost == 0);
  batch = f.aut.take(3);
  f.push(3, 3);
  CHECK(f.status().dropped == 2);
  CHECK(f.status().queued == 4);
  f.aut.put_back(std::move(batch));
  CHECK(f.status().lost == 0);
  batch = f.aut.take(10);
  CHECK(batch.missing == 2);
  CHECK(batch.entries.size() == 4);
  CHECK(batch.entries[0].message == "0");
  CHECK(batch.entries[3].message == "5");
}

TEST_CASE("of entries put back without room the oldest are lost, and missing counts both") {
  fixture f{{1, 100, 2s, 100}};
  f.push(0, 2);
  auto batch = f.aut.take(1);
  CHECK(batch.missing == 1);
  f.push(2);
  f.aut.put_back(std::move(batch));
  CHECK(f.status().lost == 1);
  CHECK(f.status().dropped == 1);
  CHECK(f.status().queued == 1);
  batch = f.aut.take(10);
  CHECK(batch.missing == 2);
  CHECK(batch.entries[0].message == "2");
}

TEST_CASE("messages are cut at their limit, names at 256 characters, and bad bytes escaped") {
  fixture f{{10, 10, 2s, 8}};
  f.aut.push(log_level::info, std::string(300, 's'),
             "ab\xff\xe2\x82\xac"
             "def",
             std::string(300, 'a') + "\xff");
  f.aut.push(log_level::info, "s", "12345");
  auto batch = f.aut.take(2);
  CHECK(batch.entries[0].message
        == "ab\\xff\xe2\x82\xac"
           "d");
  CHECK(batch.entries[0].source == std::string(256, 's'));
  CHECK(batch.entries[0].agent == std::string(256, 'a'));
  CHECK(batch.entries[1].message == "12345");
  CHECK(f.status().cut == 1);
}

TEST_CASE("a closed queue drops and counts new entries, sends no wake-up, and keeps its content") {
  fixture f;
  f.push(0, 3);
  f.aut.close();
  f.push(3, 100);
  CHECK(f.wakes.size() == 1);
  CHECK(f.status().dropped == 100);
  CHECK(f.status().queued == 3);
  CHECK(f.take() == texts{"0", "1", "2"});
}

TEST_CASE("abandoned entries are lost") {
  fixture f;
  f.push(0, 3);
  f.aut.close();
  f.aut.abandon();
  CHECK(f.status().lost == 3);
  CHECK(f.status().queued == 0);
}

TEST_CASE("a wake-up that throws has no effect on callers, and the next entry wakes again") {
  fixture f;
  auto calls = 0;
  f.aut.waker().set([&](std::chrono::milliseconds) {
    ++calls;
    throw std::bad_alloc{};
  });
  f.push(0, 50);
  f.push(50);
  CHECK(calls == 3);
  CHECK(f.status().queued == 51);
}

TEST_CASE("no entry of many threads is lost or counted twice") {
  constexpr int threads = 8;
  constexpr int each = 5'000;
  log_queue aut{{500, 50, 2s, 100}, std::make_shared<fake_clock>()};
  std::atomic<int> wakes{0};
  aut.waker().set([&](std::chrono::milliseconds) { ++wakes; });
  std::atomic<bool> stop{false};
  std::set<std::string> seen;
  uint64_t missing = 0;
  std::thread reader{[&] {
    for (auto last = false; !last;) {
      last = stop;
      auto batch = aut.take(100);
      missing += batch.missing;
      last = last && batch.entries.empty();
      for (auto& entry : batch.entries)
        seen.insert(entry.message);
      aut.written(batch.entries.size());
    }
  }};
  std::vector<std::thread> writers;
  for (int t = 0; t < threads; ++t)
    writers.emplace_back([&aut, t] {
      for (int i = 0; i < each; ++i)
        aut.push(log_level::info, "test", std::to_string(t) + "/" + std::to_string(i));
    });
  for (auto& writer : writers)
    writer.join();
  stop = true;
  reader.join();
  log_status status;
  aut.describe(status);
  CHECK(status.queued == 0);
  CHECK(seen.size() + status.dropped == threads * each);
  CHECK(missing == status.dropped);
  CHECK(wakes > 0);
}

} // namespace sluice::test::log_queue_test
