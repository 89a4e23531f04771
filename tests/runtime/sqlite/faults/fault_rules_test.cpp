#include "runtime/sqlite/faults/fault_rules.hpp"

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

namespace sluice::test::fault_rules_test {

namespace {

using sqlite::disk_effect;
using sqlite::disk_fault;
using sqlite::disk_operation;
using sqlite::fault_rules;
using std::chrono::milliseconds;

disk_fault fault_on(std::string file, disk_operation on, disk_effect effect = disk_effect::io_error) {
  disk_fault result;
  result.file = std::move(file);
  result.on = on;
  result.effect = effect;
  return result;
}

} // namespace

TEST_CASE("a fault skips a number of operations, affects a number of them, and ends") {
  fault_rules rules;
  auto fault = fault_on("app.db", disk_operation::sync);
  fault.skip = 2;
  fault.times = 3;
  rules.inject(fault);
  std::string seen;
  for (int i = 0; i < 8; ++i)
    seen += rules.judge("/root/app.db", disk_operation::sync).effect ? 'x' : '.';
  CHECK(seen == "..xxx...");
}

TEST_CASE("a fault without a number of times stays until the disk is healed") {
  fault_rules rules;
  auto fault = fault_on("", disk_operation::write, disk_effect::full);
  fault.times = 0;
  rules.inject(fault);
  for (int i = 0; i < 100; ++i)
    CHECK(rules.judge("any", disk_operation::write).effect == disk_effect::full);
  rules.heal();
  CHECK(!rules.judge("any", disk_operation::write).effect);
}

TEST_CASE("a fault applies to one operation, on files whose paths have the given ending") {
  fault_rules rules;
  auto fault = fault_on("/app.db", disk_operation::write);
  fault.times = 0;
  rules.inject(fault);
  CHECK(rules.judge("/root/app.db", disk_operation::write).effect);
  CHECK(!rules.judge("/root/app.db", disk_operation::read).effect);
  CHECK(!rules.judge("/root/myapp.db", disk_operation::write).effect);
  CHECK(!rules.judge("/root/app.db-wal", disk_operation::write).effect);
  CHECK(!rules.judge("", disk_operation::write).effect);
}

TEST_CASE("of several faults the first that is due applies, and its operation counts for none of the others") {
  fault_rules rules;
  rules.inject(fault_on("", disk_operation::write, disk_effect::io_error));
  auto second = fault_on("", disk_operation::write, disk_effect::full);
  second.skip = 1;
  rules.inject(second);
  CHECK(rules.judge("a", disk_operation::write).effect == disk_effect::io_error);
  CHECK(!rules.judge("a", disk_operation::write).effect);
  CHECK(rules.judge("a", disk_operation::write).effect == disk_effect::full);
}

TEST_CASE("delays add up, and hide no other fault") {
  fault_rules rules;
  for (auto time : {milliseconds{20}, milliseconds{300}}) {
    auto slow = fault_on("", disk_operation::sync, disk_effect::delay);
    slow.delay = time;
    slow.times = 2;
    rules.inject(slow);
  }
  rules.inject(fault_on("", disk_operation::sync));
  auto first = rules.judge("a", disk_operation::sync);
  CHECK(first.delay == milliseconds{320});
  CHECK(first.effect == disk_effect::io_error);
  auto next = rules.judge("a", disk_operation::sync);
  CHECK(next.delay == milliseconds{320});
  CHECK(!next.effect);
  CHECK(rules.judge("a", disk_operation::sync).delay == milliseconds{0});
}

TEST_CASE("space on the disk is reserved all-or-nothing") {
  fault_rules rules;
  CHECK(!rules.is_bounded());
  CHECK(rules.take_room(1'000'000));
  rules.set_room(100);
  CHECK(rules.is_bounded());
  CHECK(rules.take_room(60));
  CHECK(!rules.take_room(41));
  CHECK(rules.take_room(40));
  CHECK(rules.take_room(0));
  CHECK(!rules.take_room(1));
  rules.heal();
  CHECK(rules.take_room(1));
}

TEST_CASE("operations are counted by the ends of paths, failing ones and those of healed disks included") {
  fault_rules rules;
  rules.inject(fault_on("b.db", disk_operation::read));
  for (const auto* path : {"/x/a.db", "/x/b.db", "/y/b.db", "/y/b.db"})
    rules.judge(path, disk_operation::read);
  rules.heal();
  CHECK(rules.count("b.db", disk_operation::read) == 3);
  CHECK(rules.count("/x/b.db", disk_operation::read) == 1);
  CHECK(rules.count("", disk_operation::read) == 4);
  CHECK(rules.count("b.db", disk_operation::write) == 0);
}

TEST_CASE("threads share rules: each fault hits exactly as often as it says") {
  fault_rules rules;
  auto fault = fault_on("", disk_operation::write);
  fault.skip = 1000;
  fault.times = 500;
  rules.inject(fault);
  std::atomic<int> hits{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n)
        hits += rules.judge("a", disk_operation::write).effect ? 1 : 0;
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(hits == 500);
  CHECK(rules.count("", disk_operation::write) == 4000);
}

} // namespace sluice::test::fault_rules_test
