// Everything that sluice gives a host, destroyed in every order, by whom it may be, with requests under way.
#include "tests/support/temp_dir.hpp"
#include "tests/system/situation.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::lifetimes_matrix_test {

using namespace lifetimes;

namespace {

enum class ender : uint8_t { main, thread, agent, elsewhere };

std::string name_of(ender x) {
  return std::array{"main", "other threads", "an agent beside the broker",
                    "an agent of another system"}[static_cast<size_t>(x)];
}

uint64_t number_of(const char* variable, uint64_t otherwise) {
  auto* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

void run_in_actor(caf::actor_system& system, const std::function<void()>& work) {
  std::promise<void> done;
  run_in_new_thread([&] {
    system.spawn([&](caf::event_based_actor*) {
      work();
      done.set_value();
    });
  });
  done.get_future().wait();
}

void end_by(ender who, situation& x, const order& parts) {
  switch (who) {
  case ender::main: return x.end_all(parts);
  case ender::thread:
    for (auto each : parts)
      run_in_new_thread([&] { x.end(each); });
    return;
  case ender::agent: return run_in_actor(x.system(), [&] { x.end_all(parts); });
  case ender::elsewhere: return run_in_actor(x.elsewhere(), [&] { x.end_all(parts); });
  }
}

void run_case(home where, ender who, uint64_t seed) {
  // A system cannot be destroyed by one of its actors.
  auto parts = nth_order(seed, where != home::own && who != ender::agent);
  auto name = "SLUICE_LIFETIMES_SEED=" + std::to_string(seed) + ", " + name_of(where) + ", by " + name_of(who) + ": "
              + name_of(parts);
  INFO(name);
  temp_dir folder;
  resources before;
  {
    watchdog start{"start of " + name, 6 * time_to_end};
    situation x{where, folder.path()};
    {
      watchdog end{name};
      end_by(who, x, parts);
      x.settle();
    }
    x.require_writes();
  }
  before.require_back();
}

// `SLUICE_LIFETIMES_ORDERS` says how many orders are tried with each of `enders`, `SLUICE_LIFETIMES_SEED` where they
// begin.
void run_matrix(home where) {
  auto first = number_of("SLUICE_LIFETIMES_SEED", std::random_device{}());
  auto count = number_of("SLUICE_LIFETIMES_ORDERS", 6);
  for (uint64_t i = 0; i < count; ++i)
    for (auto who : {ender::main, ender::thread, ender::agent, ender::elsewhere})
      REQUIRE_NOTHROW(run_case(where, who, first + i));
}

} // namespace

TEST_CASE("a host of plain threads destroys everything in any order, from anywhere", "[system][lifetimes]") {
  run_matrix(home::own);
}

TEST_CASE("a host with a system of one thread destroys everything in any order, from anywhere", "[system][lifetimes]") {
  run_matrix(home::one_thread);
}

TEST_CASE("a host with a system of eight threads destroys everything in any order, from anywhere",
          "[system][lifetimes]") {
  run_matrix(home::eight_threads);
}

} // namespace sluice::test::lifetimes_matrix_test
