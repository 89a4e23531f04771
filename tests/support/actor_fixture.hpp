#pragma once

#include "actors/shared/actor_registry.hpp"
#include "messages/interfaces.hpp"
#include "tests/support/fake_clock.hpp"

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::test {

/// An actor system that runs in the thread of the test and on the test's clock.
struct actor_fixture {
  struct config : caf::actor_system_config {
    config() {
      set("scheduler.policy", caf::atom("testing"));
      set("logger.verbosity", caf::atom("quiet"));
      sluice::add_message_types(*this);
    }
  };

  /// The answer of an actor; empty until it arrives.
  template <class Result> using answer = std::shared_ptr<std::optional<caf::expected<Result>>>;

  actor_fixture() { sys.await_actors_before_shutdown(false); }

  ~actor_fixture() {
    actors->clear();
    run();
  }

  /// Sends a request from an actor of its own.
  template <class Result, class Handle, class... Ts> answer<Result> ask(const Handle& to, Ts... xs) {
    auto result = std::make_shared<std::optional<caf::expected<Result>>>();
    sys.spawn([=](caf::event_based_actor* self) {
      self->request(to, caf::infinite, xs...)
        .then([result](Result& x) { result->emplace(std::move(x)); },
              [result](caf::error& x) { result->emplace(std::move(x)); });
    });
    return result;
  }

  /// Runs until no mailbox has a message, and the audit has its records; time stands still.
  void run() {
    run_jobs();
    if (auto audit = actors->audit(); audit && actors->audit_records().size() > 0) {
      caf::anon_send(audit, caf::flush_atom_v);
      run_jobs();
    }
  }

  void run_jobs() {
    for (auto steps = 0; sched().try_run_once(); ++steps)
      if (steps > 20'000) {
        sched().jobs.clear();
        throw std::runtime_error("the actors do not come to rest");
      }
  }

  void advance(std::chrono::milliseconds by) {
    time.advance(by);
    sched().advance_time(by);
    run();
  }

  template <class Handle> void kill(const Handle& actor) {
    caf::anon_send_exit(actor, caf::exit_reason::kill);
    run();
  }

  /// Whether anything is scheduled.
  bool quiet() { return !sched().has_job() && !sched().has_pending_timeout(); }

  caf::scheduler::test_coordinator& sched() { return dynamic_cast<caf::scheduler::test_coordinator&>(sys.scheduler()); }

  fake_clock time;
  std::shared_ptr<actor_registry> actors =
    std::make_shared<actor_registry>(std::shared_ptr<const clock>{std::shared_ptr<void>{}, &time});
  config cfg;
  caf::actor_system sys{cfg};
};

template <class T> bool ok(const actor_fixture::answer<T>& answer) {
  return answer->has_value() && (*answer)->engaged();
}

template <class T> failure failure_of(const actor_fixture::answer<T>& answer) {
  if (!answer->has_value() || (*answer)->engaged())
    throw std::logic_error(answer->has_value() ? "the request succeeded" : "the request was never answered");
  return describe((*answer)->error());
}

/// The messages that the stubs around the actor under test got.
struct received_messages {
  std::vector<invalidation> changes;
  std::vector<audit_record> records;
  std::vector<std::string> wanted_readers;
  uint64_t verifies = 0;
  /// How often the cache was asked to start no reads, its answer, and how often it was asked to go on.
  uint64_t quiesces = 0;
  bool is_quiet = true;
  uint64_t resumes = 0;
};

inline cache_actor::behavior_type cache_stub(cache_actor::pointer, received_messages* log) {
  return {
    [](running_atom) { return std::vector<running_request>{}; },
    [](drain_atom, uint64_t) {},
    [](caf::timeout_atom) {},
    [](read_request&) -> caf::result<read_result> { return make_error(errc::internal, "a stub does not read"); },
    [](cancel_atom, const std::string&) { return false; },
    [](read_done&) {},
    [log](const invalidation& x) { log->changes.push_back(x); },
    [](retry_atom) {},
    [log](quiesce_atom, const std::string&, uint64_t) {
      ++log->quiesces;
      return log->is_quiet;
    },
    [log](resume_atom, const std::string&) { ++log->resumes; },
    [](caf::join_atom, const std::string&, const reader_actor&) {},
    [](caf::tick_atom) {},
    [](caf::close_atom) { return caf::ok_atom_v; },
  };
}

inline audit_actor::behavior_type audit_stub(audit_actor::pointer, received_messages* log, audit_queue* queue) {
  return {
    [](attach_atom, const std::string&) -> caf::result<attach_report> { return attach_report{}; },
    [](agree_atom, const std::string&, uint64_t until) { return until; },
    [](const audit_query&) -> caf::result<audit_page> { return audit_page{}; },
    [](verify_atom) -> caf::result<audit_verdict> { return audit_verdict{}; },
    [](const audit_prune&) -> caf::result<audit_pruned> { return audit_pruned{}; },
    [log, queue](caf::flush_atom) {
      for (auto& batch : queue->take().batches)
        std::move(batch.records.begin(), batch.records.end(), std::back_inserter(log->records));
    },
    [](retry_atom) {},
    [](caf::close_atom) { return caf::ok_atom_v; },
  };
}

inline supervisor_actor::behavior_type supervisor_stub(supervisor_actor::pointer, received_messages* log) {
  return {
    [](caf::open_atom, const std::string&) { return caf::ok_atom_v; },
    [](find_atom, const std::string&) { return caf::ok_atom_v; },
    [](caf::close_atom, const std::string&) { return caf::ok_atom_v; },
    [](caf::ping_atom) { return caf::pong_atom_v; },
    [](attach_atom, const std::string&) {},
    [](caf::tick_atom) {},
    [log](caf::spawn_atom, const std::string& db) { log->wanted_readers.push_back(db); },
    [](caf::close_atom) { return caf::ok_atom_v; },
  };
}

inline writer_actor::behavior_type writer_stub(writer_actor::pointer, received_messages* log) {
  return {
    [](write_request&) -> caf::result<write_result> { return make_error(errc::internal, "a stub does not write"); },
    [](caf::flush_atom, uint64_t) {},
    [](retry_atom) {},
    [](caf::timeout_atom) {},
    [](caf::tick_atom) {},
    [](caf::idle_atom, uint64_t) {},
    [](close_idle_atom, uint64_t) {},
    [](checkpoint_atom) {},
    [](prune_atom) {},
    [log](verify_atom) { ++log->verifies; },
    [](caf::close_atom) { return caf::ok_atom_v; },
  };
}

} // namespace sluice::test
