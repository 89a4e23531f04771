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

/// How a scenario went.
struct report {
  enum class end : uint8_t {
    passed,
    /// Something was not as expected.
    failed,
    /// It needs what the stage cannot do.
    skipped,
    /// Its databases or settings are of no use, so nothing was tried.
    unusable,
  };

  end status = end::passed;
  /// What was not as expected, in the order of the file; or why it was skipped.
  std::vector<complaint> complaints;
  /// On the stage's clock.
  std::chrono::milliseconds took{0};
};

struct play_options {
  /// On the stage's clock; then the scenario has failed.
  std::chrono::milliseconds time_limit{60'000};
  /// Told of every step that has ended, with what came of it.
  std::function<void(const step&, const nlohmann::json& answer)> on_step{};
};

/// Plays a scenario on a stage of its own, to its end or to the first step that does not go as expected; what runs
/// beside that step is waited for.
report run(const story& what, backend& on, const play_options& options = {});

/// A scenario while it is played: what its steps work with. Used by the thread of the stage.
class play {
public:
  play(backend& where, const play_options& options) : on_(where), options_(options) {}

  backend& on() noexcept { return on_; }

  /// One after the other, up to the first that has a complaint.
  void run_sequence(const std::vector<step>& steps, counts at, on_verdict done);

  /// All at once; each starts before any has ended.
  void run_parallel(std::vector<std::pair<const step*, counts>> branches, on_verdict done);

  void run_step(const step& what, const counts& at, on_verdict done);

  /// `done` is called from `pump`, so that what calls itself does not go deeper and deeper.
  void later(std::function<void()> done) { on_.after(std::chrono::milliseconds{0}, std::move(done)); }

  /// The answer that is kept under a name; null if there is none.
  const nlohmann::json* kept(const std::string& label) const;

  /// What a subscription has been told, under the name that the answer to `subscribe` is kept as.
  std::map<std::string, nlohmann::json>& told() noexcept { return told_; }

private:
  verdict judge(const step& what, const nlohmann::json& answer, bool failed, const counts& at) const;
  std::optional<nlohmann::json> look_up(std::string_view path, const counts& at) const;
  void ended(const step& what, const counts& at, std::chrono::milliseconds began, caf::expected<nlohmann::json> answer,
             const on_verdict& done);

  backend& on_;
  const play_options& options_;
  std::map<std::string, nlohmann::json> answers_;
  std::map<std::string, nlohmann::json> told_;
};

} // namespace sluice::scenario
