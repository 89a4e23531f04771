#pragma once

#include "tests/simulation/world.hpp"

#include <optional>
#include <string>

namespace sluice::simulation {

/// The invariants on waiting.
///
/// Every write and read is answered within its deadline and 250 ms, whatever else happens, for as long as its broker
/// lives. Time in which the simulation keeps actors from running that could run does not count.
///
/// With `settings::timed`: while a client waits for its only request, no other client's statements of that lane are
/// executed for longer than the bound of its turn, which `bound` derives from the design, whatever names it sends its
/// reads under. Writes are not looked at where a disk fails or another program holds a lock: each failure has its group
/// executed again, and what waits for a lock is executed in the order in which it came.
class waiting_rules {
public:
  static constexpr std::chrono::milliseconds grace{250};

  /// Both outlive this.
  waiting_rules(const plan& script, const world& where, const history& seen);

  /// A request is sent. `is_only` says whether its client waits for no other one.
  void begins(attempt& attempt, bool is_only) const;

  /// It has been answered, or its client has given up: `open` means that it has no answer. Nothing when all is well.
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
  // No world has settings of its own for what is used of it.
  const broker_config defaults_;
  // The longest statement of each lane, by its number.
  std::map<int64_t, std::chrono::milliseconds> longest_;
};

} // namespace sluice::simulation
