#pragma once

#include "actors/writer/writer.hpp"
#include "tests/support/actor_bench.hpp"
#include "tests/support/group_bench.hpp"

namespace sluice::test {

/// A writer on a fake disk, with a fake clock and stubs in the place of the actors around it.
struct writer_bench : actor_bench {
  fake_disk disk;
  told log;
  database_slot& slot = actors->slot("app.db");
  std::shared_ptr<admission> queue = std::make_shared<admission>(admission_limits{});
  writer_settings settings;
  writer_actor aut;

  explicit writer_bench(writer_settings x = {}) : settings(x) {
    actors->set(sys.spawn(cache_stub, &log));
    actors->set(sys.spawn(audit_stub, &log));
    auto parts = std::make_shared<writer_parts>();
    parts->store = std::make_unique<fake_write_store>(disk, time);
    parts->slot = &slot;
    parts->queue = queue;
    parts->actors = actors;
    parts->time = &time;
    parts->settings = settings;
    aut = sys.spawn(writer, parts);
    run();
  }

  ~writer_bench() {
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

  /// Runs until the writer has taken `count` requests, and no further.
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
