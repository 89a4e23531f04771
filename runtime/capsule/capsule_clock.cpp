#include "runtime/capsule/capsule_clock.hpp"

#include <algorithm>

namespace sluice {

capsule_clock::capsule_clock(const clock& time) : capsule_clock(time, state{}) {}

capsule_clock::capsule_clock(const clock& time, const state& kept) : time_(&time) {
  base_.boot = time.boot_id();
  base_.since_boot_us = time.since_boot().count();
  auto is_same_boot = !base_.boot.empty() && base_.boot == kept.boot;
  // Without a known boot the time since then says nothing about the time that has passed.
  base_.seen_us = is_same_boot ? kept.seen_us + std::max<int64_t>(base_.since_boot_us - kept.since_boot_us, 0)
                               : std::max({kept.seen_us, wall_us(time), int64_t{1}});
}

int64_t capsule_clock::now_us() const {
  return base_.seen_us + std::max<int64_t>(time_->since_boot().count() - base_.since_boot_us, 0);
}

capsule_clock::state capsule_clock::kept() const {
  auto result = base_;
  result.seen_us = now_us();
  result.since_boot_us = std::max(time_->since_boot().count(), base_.since_boot_us);
  return result;
}

} // namespace sluice
