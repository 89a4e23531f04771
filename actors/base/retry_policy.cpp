#include "actors/base/retry_policy.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {

std::chrono::milliseconds backoff::pause(uint64_t retry) {
  auto exponent = static_cast<double>(std::max<uint64_t>(retry, 1) - 1);
  auto nominal = static_cast<double>(policy_.base.count()) * std::pow(policy_.factor, exponent);
  nominal = std::min(nominal, static_cast<double>(policy_.cap.count()));
  std::uniform_real_distribution<double> spread{1 - policy_.jitter, 1 + policy_.jitter};
  return std::chrono::milliseconds{std::llround(nominal * spread(random_))};
}

} // namespace sluice
