#pragma once

#include "runtime/lab/scenario/scenario.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::scenario {

/// The result of a scenario.
struct report {
  enum class end : uint8_t {
    passed,
    /// An expectation failed.
    failed,
    /// It needs a step that the backend cannot run.
    skipped,
    /// Its databases or settings are invalid, so no step was run.
    unusable,
  };

  end status = end::passed;
  /// The failed expectations, in the order of the file; or the reason why it was skipped.
  std::vector<complaint> complaints;
  /// Measured on the backend's clock.
  std::chrono::milliseconds took{0};
};

struct run_options {
  /// Measured on the backend's clock; a scenario that exceeds it has failed.
  std::chrono::milliseconds time_limit{60'000};
  /// Called for every step that has ended, with its answer.
  std::function<void(const step&, const nlohmann::json& answer)> on_step{};
};

/// Runs a scenario on `on`, to its end or to the first step that fails its expectation; waits for the steps that run
/// concurrently.
report run(const definition& definition, backend& on, const run_options& options = {});

/// A scenario while it runs: the state that its steps share. Used by the thread of the backend.
class runner {
public:
  runner(backend& where, const run_options& options) : on_(where), options_(options) {}

  backend& on() noexcept { return on_; }

  /// Runs one after the other, until one has a complaint.
  void run_sequence(const std::vector<step>& steps, counts at, on_verdict done);

  /// Runs all at once; each starts before any has ended.
  void run_parallel(std::vector<std::pair<const step*, counts>> branches, on_verdict done);

  void run_step(const step& step, const counts& at, on_verdict done);

  /// `done` is called from `pump`, so that recursion does not grow the stack.
  void later(std::function<void()> done) { on_.after(std::chrono::milliseconds{0}, std::move(done)); }

  /// The answer that is kept under a name; null if there is none.
  const nlohmann::json* kept(const std::string& label) const;

  /// The notifications of a subscription, under the name of the answer to `subscribe`.
  std::map<std::string, nlohmann::json>& notifications() noexcept { return notifications_; }

private:
  verdict judge(const step& step, const nlohmann::json& answer, bool failed, const counts& at) const;
  std::optional<nlohmann::json> look_up(std::string_view path, const counts& at) const;
  void ended(const step& step, const counts& at, std::chrono::milliseconds began, caf::expected<nlohmann::json> answer,
             const on_verdict& done);

  backend& on_;
  const run_options& options_;
  std::map<std::string, nlohmann::json> answers_;
  std::map<std::string, nlohmann::json> notifications_;
};

} // namespace sluice::scenario
