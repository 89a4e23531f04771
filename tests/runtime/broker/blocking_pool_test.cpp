#include "runtime/broker/pooled_actor.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <latch>
#include <set>
#include <system_error>

namespace sluice::test::blocking_pool_test {

using namespace std::chrono_literals;

namespace {

using get_atom = caf::atom_constant<caf::atom("get")>;
using put_atom = caf::atom_constant<caf::atom("put")>;
using work_atom = caf::atom_constant<caf::atom("work")>;

// Runs a function of the test for every message.
caf::behavior worker(caf::event_based_actor* self, std::function<void(int)> work) {
  return {
    [work](work_atom, int n) { work(n); },
    [self, work](put_atom, int n) { self->delayed_send(self, 1ms, work_atom{}, n); },
    [](get_atom) { return true; },
  };
}

struct fixture {
  explicit fixture(blocking_pool_settings settings = {})
    : pool(std::make_shared<blocking_pool>(sys, std::move(settings))) {}

  ~fixture() {
    for (auto& each : spawned)
      caf::anon_send_exit(each, caf::exit_reason::kill);
    spawned.clear();
    pool->stop();
  }

  caf::actor spawn(blocking_work kind, std::function<void(int)> work) {
    return spawned.emplace_back(spawn_pooled(sys, pool, kind, worker, std::move(work)));
  }

  caf::actor_system_config cfg;
  caf::actor_system sys{cfg};
  std::shared_ptr<blocking_pool> pool;
  std::vector<caf::actor> spawned;
};

blocking_pool_settings small(size_t threads) {
  blocking_pool_settings result;
  result.threads = threads;
  return result;
}

// Creates threads until its limit is reached.
struct thread_limit {
  std::atomic<bool> is_reached{false};
  std::atomic<int> refusals{0};

  blocking_pool_settings settings(size_t threads) {
    auto result = small(threads);
    result.make_thread = [this](std::function<void()> work) {
      if (is_reached) {
        ++refusals;
        throw std::system_error{std::make_error_code(std::errc::resource_unavailable_try_again)};
      }
      return std::thread{std::move(work)};
    };
    return result;
  }
};

template <class T> T value_of(std::future<T> future) {
  if (future.wait_for(1min) != std::future_status::ready)
    FAIL("not within a minute");
  return future.get();
}

// Blocks the actors that reach it until it is opened.
class gate {
public:
  void pass() {
    std::unique_lock lock{mutex_};
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void open() {
    std::lock_guard guard{mutex_};
    open_ = true;
    changed_.notify_all();
  }
  bool await(int count) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, 1min, [&] { return waiting_ >= count; });
  }
  int waiting() {
    std::lock_guard guard{mutex_};
    return waiting_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

} // namespace

TEST_CASE("an actor of the pool runs there, whether a thread, another actor or a timer sends the message", "[pool]") {
  std::mutex mutex;
  std::set<std::thread::id> pool_threads;
  blocking_pool_settings settings;
  settings.make_thread = [&](std::function<void()> work) {
    return std::thread{[&, work] {
      {
        std::lock_guard guard{mutex};
        pool_threads.insert(std::this_thread::get_id());
      }
      work();
    }};
  };
  std::promise<std::thread::id> ran_in[3];
  fixture f{settings};
  auto aut = f.spawn(blocking_work::write, [&](int n) { ran_in[n].set_value(std::this_thread::get_id()); });
  caf::anon_send(aut, work_atom{}, 0);
  f.sys.spawn([aut](caf::event_based_actor* self) { self->send(aut, work_atom{}, 1); });
  caf::anon_send(aut, put_atom{}, 2);
  for (auto& each : ran_in) {
    auto id = value_of(each.get_future());
    std::lock_guard guard{mutex};
    CHECK(pool_threads.count(id) == 1);
  }
}

TEST_CASE("messages are handled once and in the order of their sender, whatever the number of actors and senders",
          "[pool]") {
  constexpr int actors = 20;
  constexpr int senders = 4;
  constexpr int messages = 500;
  std::latch done{actors * senders * messages};
  std::atomic<int> out_of_order{0};
  fixture f{small(5)};
  std::vector<std::vector<int>> last(actors, std::vector<int>(senders, -1));
  std::vector<caf::actor> aut;
  for (int i = 0; i < actors; ++i)
    aut.push_back(f.spawn(i % 2 == 0 ? blocking_work::write : blocking_work::read, [&, i](int n) {
      auto& seen = last[static_cast<size_t>(i)][static_cast<size_t>(n / messages)];
      out_of_order += n % messages != seen + 1;
      seen = n % messages;
      done.count_down();
    }));
  std::vector<std::thread> threads;
  for (int s = 0; s < senders; ++s)
    threads.emplace_back([&, s] {
      for (int n = 0; n < messages; ++n)
        for (const auto& item : aut)
          caf::anon_send(item, work_atom{}, s * messages + n);
    });
  for (auto& each : threads)
    each.join();
  done.wait();
  CHECK(out_of_order == 0);
  // One may look whether writers have become long ones.
  CHECK(f.pool->threads() <= 5 + blocking_pool::service_threads + blocking_pool::coordination_threads + 1);
}

TEST_CASE("two actors that wait for each other both run, even while a thread looks for work", "[pool]") {
  constexpr int rounds = 5'000;
  std::atomic<int> begun{0};
  std::atomic<int> met{0};
  std::atomic<bool> is_over{false};
  fixture f{small(4)};
  auto meet = [&](int round) {
    for (++begun; begun < 2 * round && !is_over; std::this_thread::yield())
      ;
    ++met;
  };
  auto a = f.spawn(blocking_work::write, meet);
  auto b = f.spawn(blocking_work::write, meet);
  auto give_up = std::chrono::steady_clock::now() + 1min;
  for (int round = 1; round <= rounds && !is_over; ++round) {
    caf::anon_send(a, work_atom{}, round);
    caf::anon_send(b, work_atom{}, round);
    // Both have done their work, and their threads look for more now.
    while (met < 2 * round && !is_over)
      is_over = std::chrono::steady_clock::now() > give_up;
  }
  CHECK_FALSE(is_over);
}

TEST_CASE("long reads keep neither writers nor services waiting, and long writes keep a thread for readers", "[pool]") {
  constexpr int threads = 6;
  // The objects that the actors refer to outlive the pool's threads.
  gate reads;
  gate writes;
  std::promise<bool> served;
  std::promise<bool> was_read;
  fixture f{small(threads)};
  for (int i = 0; i < 3 * threads; ++i)
    caf::anon_send(f.spawn(blocking_work::read, [&](int) { reads.pass(); }), work_atom{}, i);
  REQUIRE(reads.await(threads - 2));
  for (int i = 0; i < 3 * threads; ++i)
    caf::anon_send(f.spawn(blocking_work::write, [&](int) { writes.pass(); }), work_atom{}, i);
  REQUIRE(writes.await(2));
  caf::anon_send(f.spawn(blocking_work::service, [&](int) { served.set_value(true); }), work_atom{}, 0);
  CHECK(value_of(served.get_future()));
  CHECK(reads.waiting() == threads - 2);
  reads.open();
  REQUIRE(writes.await(threads - 1));
  caf::anon_send(f.spawn(blocking_work::read, [&](int) { was_read.set_value(true); }), work_atom{}, 0);
  CHECK(value_of(was_read.get_future()));
  writes.open();
}

TEST_CASE("a writer does not wait for long ones that hold all threads", "[pool]") {
  constexpr int threads = 4;
  gate writes;
  std::promise<bool> was_written;
  auto settings = small(threads);
  settings.long_write = 1ms;
  fixture f{settings};
  for (int i = 0; i < 2 * threads; ++i)
    caf::anon_send(f.spawn(blocking_work::write, [&](int) { writes.pass(); }), work_atom{}, i);
  REQUIRE(writes.await(2 * threads));
  caf::anon_send(f.spawn(blocking_work::write, [&](int) { was_written.set_value(true); }), work_atom{}, 0);
  CHECK(value_of(was_written.get_future()));
  writes.open();
}

TEST_CASE("a busy coordinator does not keep its messages from other threads", "[pool]") {
  // Threads that have just been made look for work, so the first rounds prove nothing.
  std::vector<std::promise<void>> rounds(20);
  size_t round = 0;
  std::atomic<bool> is_done{false};
  fixture f;
  auto other = f.spawn(GENERATE(blocking_work::service, blocking_work::write, blocking_work::read), [&](int) {
    is_done = true;
    rounds[round].set_value();
  });
  caf::actor busy;
  busy = f.spawn(blocking_work::coordination, [&](int n) {
    if (n == 0)
      caf::anon_send(other, work_atom{}, 0);
    if (!is_done)
      caf::anon_send(busy, work_atom{}, n + 1);
  });
  for (; round < rounds.size(); ++round) {
    is_done = false;
    caf::anon_send(busy, work_atom{}, 0);
    auto is_in_time = rounds[round].get_future().wait_for(1min) == std::future_status::ready;
    is_done = true;
    REQUIRE(is_in_time);
  }
}

TEST_CASE("when the system allows no further thread, the existing ones do all the work", "[pool]") {
  thread_limit limit;
  std::latch done{100};
  // Two actors that wait for each other need two threads, which exist.
  std::latch both{2};
  fixture f{limit.settings(16)};
  CHECK(f.pool->threads() == blocking_pool::kept_threads);
  limit.is_reached = true;
  for (int i = 0; i < 2; ++i)
    caf::anon_send(f.spawn(blocking_work::write, [&](int) { both.arrive_and_wait(); }), work_atom{}, i);
  for (int i = 0; i < 100; ++i)
    caf::anon_send(f.spawn(i % 2 == 0 ? blocking_work::read : blocking_work::write, [&](int) { done.count_down(); }),
                   work_atom{}, i);
  done.wait();
  CHECK(f.pool->threads() == blocking_pool::kept_threads);
  CHECK(limit.refusals <= 100);
}

TEST_CASE("a pool that gets no thread is not created, and leaves none behind", "[pool]") {
  caf::actor_system_config cfg;
  caf::actor_system sys{cfg};
  std::atomic<int> made{0};
  auto settings = small(8);
  settings.make_thread = [&](std::function<void()> work) {
    if (made == 2)
      throw std::system_error{std::make_error_code(std::errc::resource_unavailable_try_again)};
    ++made;
    return std::thread{std::move(work)};
  };
  CHECK_THROWS_AS(blocking_pool(sys, settings), std::system_error);
  CHECK(made == 2);
}

TEST_CASE("idle threads end, except those that are kept", "[pool]") {
  auto settings = small(8);
  settings.keep_idle = 1ms;
  gate all;
  std::promise<bool> served;
  fixture f{settings};
  for (int i = 0; i < 7; ++i)
    caf::anon_send(f.spawn(blocking_work::write, [&](int) { all.pass(); }), work_atom{}, i);
  REQUIRE(all.await(7));
  CHECK(f.pool->threads() >= 7);
  all.open();
  auto give_up = std::chrono::steady_clock::now() + 1min;
  while (f.pool->threads() > blocking_pool::kept_threads && std::chrono::steady_clock::now() < give_up)
    std::this_thread::yield();
  CHECK(f.pool->threads() == blocking_pool::kept_threads);
  // The pool grows again.
  caf::anon_send(f.spawn(blocking_work::read, [&](int) { served.set_value(true); }), work_atom{}, 0);
  CHECK(value_of(served.get_future()));
}

TEST_CASE("a request to an actor that the pool no longer runs is answered when the actor is destroyed", "[pool]") {
  fixture f;
  auto aut = f.spawn(blocking_work::write, [](int) {});
  f.pool->stop();
  caf::scoped_actor self{f.sys};
  auto waiting = self->request(aut, caf::infinite, get_atom{});
  f.spawned.clear();
  aut = nullptr;
  auto is_refused = false;
  waiting.receive([](bool) {}, [&](const caf::error&) { is_refused = true; });
  CHECK(is_refused);
}

} // namespace sluice::test::blocking_pool_test
