#include "runtime/sqlite/ledger/key_clock.hpp"

#include <algorithm>

namespace sluice::sqlite {

void key_clock::begin(int64_t undated_id, uint64_t seq) {
  base_.begun_us = std::clamp<int64_t>(wall_us(time_), 1, last_plausible_number / 2);
  base_.seen_us = base_.begun_us;
  base_.last_undated_id = undated_id;
  base_.pruned_seq = seq;
  base_.boot = time_.boot_id();
  base_.since_boot_us = since_boot_us();
}

void key_clock::go_on(const key_time& kept, int64_t newest_id, int64_t newest_us) {
  // Reading the file again does not undo time that this process has measured.
  auto seen = base_.begun_us == kept.begun_us ? now_us() : 0;
  auto boot = time_.boot_id();
  auto since_boot = since_boot_us();
  auto passed = !boot.empty() && boot == kept.boot ? std::max<int64_t>(since_boot - kept.since_boot_us, 0) : 0;
  seen = std::max(seen, kept.seen_us + passed);
  if (newest_id > kept.last_undated_id)
    seen = std::max(seen, newest_us);
  base_ = kept;
  base_.seen_us = seen;
  base_.boot = std::move(boot);
  base_.since_boot_us = since_boot;
}

int64_t key_clock::now_us() const {
  return base_.seen_us + std::max<int64_t>(since_boot_us() - base_.since_boot_us, 0);
}

key_time key_clock::kept() const {
  auto time = base_;
  auto since_boot = since_boot_us();
  time.seen_us += std::max<int64_t>(since_boot - time.since_boot_us, 0);
  time.since_boot_us = since_boot;
  return time;
}

void key_clock::pruned(uint64_t seq) noexcept { base_.pruned_seq = std::max(base_.pruned_seq, seq); }

} // namespace sluice::sqlite
