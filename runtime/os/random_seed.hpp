#pragma once

#include <cstdint>
#include <random>

namespace sluice {

/// Where random numbers begin that nobody has to repeat. Thread-safe.
inline uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

} // namespace sluice
