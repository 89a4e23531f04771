#pragma once

#include "actors/base/clock.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

#include <cstdint>
#include <string>

namespace sluice::sqlite {

/// The clock for the age of idempotency keys. It never runs ahead of real time: while the machine runs it follows the
/// time since boot, in this process and between processes; it stands still across a reboot, and while boots cannot be
/// distinguished. The wall clock only sets its start. Used by one thread at a time.
class key_clock {
public:
  /// `time` outlives this.
  explicit key_clock(const clock& time) : time_(time) {}

  /// Starts for a ledger whose keys up to `undated_id`, of commits up to `seq`, are dated by the wall clock.
  void begin(int64_t undated_id, uint64_t seq);

  /// Continues from the state in a ledger; `newest_us` is the date of its newest key, 0 when there is none.
  void go_on(const key_time& kept, int64_t newest_id, int64_t newest_us);

  /// Microseconds by this clock.
  int64_t now_us() const;

  /// The state to store now.
  key_time kept() const;

  const key_time& base() const noexcept { return base_; }

  /// Keys of commits up to `seq` have been removed.
  void pruned(uint64_t seq) noexcept;

private:
  int64_t since_boot_us() const { return time_.since_boot().count(); }

  const clock& time_;
  key_time base_;
};

} // namespace sluice::sqlite
