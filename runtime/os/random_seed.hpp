#pragma once

#include <cstdint>
#include <random>

namespace sluice {

/// A seed for random numbers that need not be reproducible. Thread-safe.
inline uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

} // namespace sluice
