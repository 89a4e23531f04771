#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace sluice {

/// The number of retries and the pauses between them: exponential back-off with jitter.
struct retry_policy {
  /// The maximum number of retries after the first try; 0 means none. A writer retries until the deadline of its
  /// request instead: there this is the number of pauses that grow, and 0 means that the first refusal is the answer.
  uint64_t attempts = 3;
  std::chrono::milliseconds base{100};
  double factor = 2.0;
  std::chrono::milliseconds cap{2'000};
  /// Each pause is drawn from `[1 - jitter, 1 + jitter]` times its nominal length; 0 to 1.
  double jitter = 0.25;
  /// Counted from the first try; the last one begins no later. Zero means no bound. Not used by writers, whose requests
  /// have deadlines of their own.
  std::chrono::milliseconds deadline{0};
};

/// The pauses of one series of tries. Equal seeds give equal pauses. Not synchronized.
class backoff {
public:
  backoff(retry_policy policy, uint64_t seed) : policy_(policy), random_(seed) {}

  /// The pause before retry number `retry`, counted from 1.
  std::chrono::milliseconds pause(uint64_t retry);

private:
  retry_policy policy_;
  std::mt19937_64 random_;
};

} // namespace sluice
