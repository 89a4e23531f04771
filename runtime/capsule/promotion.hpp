#pragma once

#include <cstdint>
#include <string>

namespace sluice {

/// A proof that the store has accepted.
struct promotion {
  /// From 1; given by the file.
  uint64_t id = 0;
  /// Microseconds since the Unix epoch.
  int64_t ts_us = 0;
  std::string agent;
  std::string db;
  uint64_t first_seq = 0;
  uint64_t last_seq = 0;
  /// The hash of the last record; 32 bytes.
  std::string head;
  /// The hash of the proof; 32 bytes.
  std::string proof;
  /// The hash of the policy; 32 bytes.
  std::string policy;
};

} // namespace sluice
