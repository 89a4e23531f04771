#include "runtime/broker/pooled_actor.hpp"

#include <catch2/catch.hpp>

#include <latch>
#include <mutex>
#include <semaphore>
#include <system_error>

namespace sluice::test::short_reads_test {

namespace {

using work_atom = caf::atom_constant<caf::atom("work")>;

caf::behavior worker(caf::event_based_actor*, std::function<void()> work) {
  return {
    [work](work_atom) { work(); },
    [work](const run_read&) { work(); },
  };
}

run_read read_of(bool is_tiny) {
  run_read message;
  message.is_tiny = is_tiny;
  return message;
}

// A pool with one thread that is free, which runs a short read until the test lets it go on.
struct fixture {
  fixture() {
    blocking_pool_settings settings;
    settings.make_thread = [this](std::function<void()> work) {
      if (is_full)
        throw std::system_error{std::make_error_code(std::errc::resource_unavailable_try_again)};
      return std::thread{std::move(work)};
    };
    pool = std::make_shared<blocking_pool>(system, std::move(settings));
    is_full = true;
    std::latch blocked{blocking_pool::kept_threads};
    auto block = [&](std::counting_semaphore<>& until) {
      blocked.count_down();
      until.acquire();
    };
    for (size_t i = 1; i < blocking_pool::kept_threads; ++i)
      caf::anon_send(spawn(blocking_work::service, [&, block] { block(end); }), work_atom{});
    caf::anon_send(spawn(blocking_work::read, [&, block] { block(first_read); }), read_of(true));
    blocked.wait();
  }

  ~fixture() {
    end.release(blocking_pool::kept_threads);
    for (auto& actor : spawned)
      caf::anon_send_exit(actor, caf::exit_reason::kill);
    spawned.clear();
    pool->stop();
  }

  caf::actor spawn(blocking_work kind, std::function<void()> work) {
    return spawned.emplace_back(spawn_pooled<caf::lazy_init>(system, pool, kind, worker, std::move(work)));
  }

  // The order in which the free thread runs the cache and two reads that come while it runs the first read.
  std::string order(bool are_tiny) {
    std::string result;
    std::latch done{3};
    auto note = [&](char which) {
      return [&, which] {
        result += which;
        done.count_down();
      };
    };
    caf::anon_send(spawn(blocking_work::coordination, note('c')), work_atom{});
    for (auto i = 0; i < 2; ++i)
      caf::anon_send(spawn(blocking_work::read, note('r')), read_of(are_tiny));
    first_read.release();
    done.wait();
    return result;
  }

  caf::actor_system_config config;
  caf::actor_system system{config};
  std::atomic<bool> is_full{false};
  std::shared_ptr<blocking_pool> pool;
  std::counting_semaphore<> end{0};
  std::counting_semaphore<> first_read{0};
  std::vector<caf::actor> spawned;
};

} // namespace

TEST_CASE("short reads that wait are run before the cache, which then answers all of them", "[pool]") {
  CHECK(fixture{}.order(true) == "rrc");
}

TEST_CASE("the cache does not wait for reads that may be long", "[pool]") { CHECK(fixture{}.order(false) == "crr"); }

} // namespace sluice::test::short_reads_test
