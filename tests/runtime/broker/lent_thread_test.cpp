#include "runtime/broker/lent_thread.hpp"
#include "runtime/broker/pooled_actor.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <thread>

namespace sluice::test::lent_thread_test {

namespace {

using work_atom = caf::atom_constant<caf::atom("work")>;

caf::behavior runner(caf::event_based_actor*, std::function<void()> work) {
  return {
    [work](work_atom) { work(); },
    [work](const write_request&) { work(); },
    [work](const run_read&) { work(); },
  };
}

struct fixture {
  ~fixture() {
    for (auto& actor : spawned)
      caf::anon_send_exit(actor, caf::exit_reason::kill);
    spawned.clear();
    pool->stop();
  }

  caf::actor spawn(blocking_work kind, std::function<void()> work) {
    // Spawned lazily: it does not run before its first message.
    return spawned.emplace_back(spawn_pooled<caf::lazy_init>(system, pool, kind, runner, std::move(work)));
  }

  /// The thread that ran the actor to which `send` sends.
  std::thread::id thread_of(blocking_work kind, std::function<void(const caf::actor&)> send) {
    std::promise<std::thread::id> ran_in;
    auto result = ran_in.get_future();
    auto actor = spawn(kind, [&] { ran_in.set_value(std::this_thread::get_id()); });
    lent_thread lent{pool.get()};
    send(actor);
    lent.run([] { return false; });
    return result.get();
  }

  caf::actor_system_config config;
  caf::actor_system system{config};
  std::shared_ptr<blocking_pool> pool = std::make_shared<blocking_pool>(system, blocking_pool_settings{});
  std::vector<caf::actor> spawned;
};

const auto self = [] { return std::this_thread::get_id(); };
const auto send_work = [](const caf::actor& to) { caf::anon_send(to, work_atom{}); };

run_read tiny_read() {
  run_read message;
  message.is_tiny = true;
  return message;
}

write_request short_write() {
  write_request message;
  message.is_short = true;
  return message;
}

} // namespace

TEST_CASE("a thread that waits runs coordinators, its own write and short reads itself", "[pool]") {
  fixture f;
  CHECK(f.thread_of(blocking_work::coordination, send_work) == self());
  CHECK(f.thread_of(blocking_work::write, [](const caf::actor& to) { caf::anon_send(to, write_request{}); }) == self());
  CHECK(f.thread_of(blocking_work::read, [](const caf::actor& to) { caf::anon_send(to, tiny_read()); }) == self());
}

TEST_CASE("services, reads that may be long and other messages to writers run in the pool", "[pool]") {
  fixture f;
  CHECK(f.thread_of(blocking_work::service, send_work) != self());
  CHECK(f.thread_of(blocking_work::write, send_work) != self());
  CHECK(f.thread_of(blocking_work::read, [](const caf::actor& to) { caf::anon_send(to, run_read{}); }) != self());
}

TEST_CASE("a waiting thread runs the actors that its request makes ready, except a writer that another actor sends to",
          "[pool]") {
  fixture f;
  std::promise<std::thread::id> read_in;
  std::promise<std::thread::id> written_in;
  auto reader = f.spawn(blocking_work::read, [&] { read_in.set_value(self()); });
  auto writer = f.spawn(blocking_work::write, [&] { written_in.set_value(self()); });
  auto coordinator = f.spawn(blocking_work::coordination, [&] {
    caf::anon_send(reader, tiny_read());
    caf::anon_send(writer, write_request{});
  });
  lent_thread lent{f.pool.get()};
  caf::anon_send(coordinator, work_atom{});
  lent.run([] { return false; });
  CHECK(read_in.get_future().get() == self());
  CHECK(written_in.get_future().get() != self());
}

TEST_CASE("a waiting thread runs only its own message of a writer, and the pool runs the messages after it", "[pool]") {
  fixture f;
  std::promise<std::thread::id> second_in;
  std::vector<std::thread::id> ran_in;
  auto writer = f.spawn(blocking_work::write, [&] {
    ran_in.push_back(self());
    if (ran_in.size() == 2)
      second_in.set_value(self());
  });
  lent_thread lent{f.pool.get()};
  caf::anon_send(writer, write_request{});
  caf::anon_send(writer, write_request{});
  lent.run([] { return false; });
  CHECK(second_in.get_future().get() != self());
  CHECK(ran_in.front() == self());
}

TEST_CASE("the pool runs the actors that are left when a thread has its answer, or does not wait", "[pool]") {
  fixture f;
  std::promise<std::thread::id> ran_in;
  auto actor = f.spawn(blocking_work::coordination, [&] { ran_in.set_value(self()); });
  SECTION("it has its answer") {
    lent_thread lent{f.pool.get()};
    caf::anon_send(actor, work_atom{});
    lent.run([] { return true; });
  }
  SECTION("it does not wait") {
    lent_thread lent{f.pool.get()};
    caf::anon_send(actor, work_atom{});
  }
  CHECK(ran_in.get_future().get() != self());
}

TEST_CASE("a coordinator that a writer sends to does not wait for the writer", "[pool]") {
  fixture f;
  std::promise<void> coordinated;
  auto coordinator = f.spawn(blocking_work::coordination, [&] { coordinated.set_value(); });
  auto is_coordinated = false;
  auto writer = f.spawn(blocking_work::write, [&] {
    caf::anon_send(coordinator, work_atom{});
    is_coordinated = coordinated.get_future().wait_for(std::chrono::minutes{1}) == std::future_status::ready;
  });
  lent_thread lent{f.pool.get()};
  caf::anon_send(writer, write_request{});
  lent.run([] { return false; });
  CHECK(is_coordinated);
}

TEST_CASE("stop waits for a lent thread that runs actors, which counts as a thread of the pool", "[pool]") {
  fixture f;
  std::promise<void> runs;
  std::promise<void> go_on;
  std::atomic<bool> has_ended{false};
  auto actor = f.spawn(blocking_work::coordination, [&] {
    CHECK(f.pool->is_own_thread());
    runs.set_value();
    go_on.get_future().wait();
    has_ended = true;
  });
  std::thread host{[&] {
    lent_thread lent{f.pool.get()};
    caf::anon_send(actor, work_atom{});
    lent.run([] { return false; });
    CHECK_FALSE(f.pool->is_own_thread());
  }};
  runs.get_future().wait();
  auto stopped = std::async(std::launch::async, [&] {
    f.pool->stop();
    return has_ended.load();
  });
  go_on.set_value();
  CHECK(stopped.get());
  host.join();
}

TEST_CASE("a stopped pool runs nothing in threads that wait", "[pool]") {
  fixture f;
  std::atomic<bool> has_run{false};
  auto actor = f.spawn(blocking_work::coordination, [&] { has_run = true; });
  f.pool->stop();
  lent_thread lent{f.pool.get()};
  caf::anon_send(actor, work_atom{});
  lent.run([] { return false; });
  CHECK_FALSE(has_run);
}

TEST_CASE("a thread that serves runs coordinators, short reads and short writes, and leaves others to the pool",
          "[pool]") {
  fixture f;
  auto thread_of = [&f](blocking_work kind, auto message) {
    std::promise<std::thread::id> ran_in;
    auto actor = f.spawn(kind, [&] { ran_in.set_value(self()); });
    lent_thread lent{f.pool.get(), lent_thread::duty::serves};
    caf::anon_send(actor, std::move(message));
    lent.run([] { return false; });
    return ran_in.get_future().get();
  };
  CHECK(thread_of(blocking_work::coordination, work_atom{}) == self());
  CHECK(thread_of(blocking_work::read, tiny_read()) == self());
  CHECK(thread_of(blocking_work::write, short_write()) == self());
  CHECK(thread_of(blocking_work::service, work_atom{}) != self());
  CHECK(thread_of(blocking_work::read, run_read{}) != self());
  CHECK(thread_of(blocking_work::write, write_request{}) != self());
}

TEST_CASE("a thread that serves runs all messages of a writer, until one is not known to be short", "[pool]") {
  fixture f;
  std::promise<void> all_ran;
  std::vector<std::thread::id> ran_in;
  auto writer = f.spawn(blocking_work::write, [&] {
    ran_in.push_back(self());
    if (ran_in.size() == 3)
      all_ran.set_value();
  });
  auto has_long_one = GENERATE(false, true);
  {
    lent_thread lent{f.pool.get(), lent_thread::duty::serves};
    caf::anon_send(writer, short_write());
    caf::anon_send(writer, short_write());
    has_long_one ? caf::anon_send(writer, write_request{}) : caf::anon_send(writer, short_write());
    lent.run([] { return false; });
  }
  all_ran.get_future().wait();
  CHECK((ran_in.back() == self()) == !has_long_one);
  // Afterwards this thread can be lent again.
  CHECK(f.thread_of(blocking_work::write, [](const caf::actor& to) { caf::anon_send(to, short_write()); }) == self());
}

TEST_CASE("only a thread that accepts requests and runs no actor reports that it serves", "[pool]") {
  fixture f;
  CHECK_FALSE(lent_thread::serves());
  auto serves_while_running = true;
  auto coordinator = f.spawn(blocking_work::coordination, [&] { serves_while_running = lent_thread::serves(); });
  {
    lent_thread waiting{f.pool.get()};
    CHECK_FALSE(lent_thread::serves());
  }
  lent_thread lent{f.pool.get(), lent_thread::duty::serves};
  CHECK(lent_thread::serves());
  caf::anon_send(coordinator, work_atom{});
  lent.run([] { return false; });
  CHECK_FALSE(serves_while_running);
}

} // namespace sluice::test::lent_thread_test
