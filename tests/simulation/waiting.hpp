#pragma once

#include "tests/simulation/world.hpp"

#include <optional>
#include <string>

namespace sluice::simulation {

/// Checks the invariants on waiting.
///
/// Every write and read is answered within its deadline and 250 ms, whatever else happens, for as long as its broker
/// lives. Time in which the simulation keeps actors from running that could run does not count.
///
/// With `settings::timed`: while a client waits for its only request, no other client's statements of that lane are
/// executed for longer than the bound of its turn, which `bound` computes from the scheduling rules, regardless of the
/// agent names of its reads. Writes are not checked where a disk fails or another program holds a lock: each failure
/// has its group executed again, and requests that wait for a lock are executed in their order of arrival.
class waiting_rules {
public:
  static constexpr std::chrono::milliseconds grace{250};

  /// Both arguments must outlive this object.
  waiting_rules(const plan& script, const world& where, const history& seen);

  /// Notes that a request is sent. `is_only`: its client waits for no other one.
  void begins(attempt& attempt, bool is_only) const;

  /// Checks a request that was answered, or that its client has given up; `open` means that it has no answer. Empty
  /// without a violation.
  std::optional<violation> ends(const attempt& attempt) const;

private:
  std::optional<violation> check_deadline(const attempt& attempt) const;
  std::optional<violation> check_turn(const attempt& attempt) const;
  std::chrono::milliseconds deadline_of(const operation& op) const;
  std::chrono::milliseconds bound(const attempt& attempt, const lane& other) const;
  std::chrono::milliseconds longest_of(const lane& lane) const;
  int64_t repetitions(const attempt& attempt) const;

  const plan& plan_;
  const world& world_;
  const history& seen_;
  // The defaults of the settings that no world changes.
  const broker_config defaults_;
  // The longest statement of each lane, by the lane's number.
  std::map<int64_t, std::chrono::milliseconds> longest_;
};

} // namespace sluice::simulation
