#pragma once

#include "messages/error.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace sluice {

/// Bounds of one database's queue. One agent may use a quarter of each.
struct admission_limits {
  uint64_t max_requests = 10'000;
  uint64_t max_bytes = 64ULL << 20;
};

/// Counts what waits for a writer, and refuses what would pass the bounds. Callers ask in their own thread before they
/// send, because a mailbox has no bound and a busy writer could not refuse at once. Thread-safe.
///
/// Each writer has one of its own; what a dead writer had queued is forgotten together with its admission.
class admission {
public:
  explicit admission(admission_limits limits) : limits_(limits) {}

  /// Takes a request of `bytes` in, or says why not (`too_large`, `overloaded`).
  std::optional<failure> admit(const std::string& agent, uint64_t bytes);

  /// A request taken in has been answered.
  void release(const std::string& agent, uint64_t bytes);

  /// `count` requests were served in `elapsed`; makes the advice of `retry_after_ms` better.
  void served(uint64_t count, std::chrono::nanoseconds elapsed);

  struct usage {
    uint64_t requests = 0;
    uint64_t bytes = 0;
  };

  usage queued() const;
  uint64_t refused() const;

private:
  failure overloaded(const char* what) const;

  const admission_limits limits_;
  mutable std::mutex mutex_;
  usage total_;
  std::unordered_map<std::string, usage> agents_;
  uint64_t refused_ = 0;
  double ns_per_request_ = 100'000;
};

} // namespace sluice
