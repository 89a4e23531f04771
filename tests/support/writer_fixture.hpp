#pragma once

#include "actors/writer/writer.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/group_fixture.hpp"

namespace sluice::test {

/// A writer on a fake disk, with a fake clock and stubs for the other actors.
struct writer_fixture : actor_fixture {
  fake_disk disk;
  received_messages log;
  database_context& context = actors->context("app.db");
  std::shared_ptr<write_quota> queue = std::make_shared<write_quota>(write_quota_limits{});
  writer_settings settings;
  writer_actor aut;

  explicit writer_fixture(writer_settings x = {}) : settings(x) {
    actors->set(sys.spawn(cache_stub, &log));
    actors->set(sys.spawn(audit_stub, &log, &actors->audit_records()));
    auto parts = std::make_shared<writer_dependencies>();
    parts->store = std::make_unique<fake_write_store>(disk, time);
    parts->context = &context;
    parts->queue = queue;
    parts->actors = actors;
    parts->time = &time;
    parts->settings = settings;
    aut = sys.spawn(writer, parts);
    run();
  }

  ~writer_fixture() {
    kill(aut);
    actors->clear();
    run();
  }

  invalidation_listener listener(std::vector<invalidation>* heard) {
    auto take = [heard](invalidation_listener::pointer) -> invalidation_listener::behavior_type {
      return {[heard](const invalidation& x) { heard->push_back(x); }};
    };
    return sys.spawn(take);
  }

  answer<write_result> write(write_request x) { return ask<write_result>(aut, std::move(x)); }
  answer<write_result> write(std::string agent, std::string sql, std::string key = {}) {
    return write(a_write(std::move(agent), {std::move(sql)}, std::move(key)));
  }

  /// Runs until the writer has taken `count` requests, and then stops.
  void run_until_executed(uint64_t count) {
    auto executed = [&] {
      uint64_t sum = 0;
      for (const auto& [agent, n] : disk.executions)
        sum += n;
      return sum;
    };
    while (executed() < count && sched().try_run_once())
      ;
  }
};

} // namespace sluice::test
