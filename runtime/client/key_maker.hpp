#pragma once

#include "messages/automatic_key.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/os/random_seed.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace sluice {

/// Keys that no other client generates (`automatic_key`): the broker keeps them in its commit records. Thread-safe. A
/// forked process cannot use its parent's client, and so none of its keys.
class key_maker {
public:
  std::string next() {
    using namespace std::chrono;
    return to_string(automatic_key{
      boot_, static_cast<uint64_t>(duration_cast<milliseconds>(time_.since_boot()).count()), session_, ++count_});
  }

private:
  const machine_clock time_{};
  // On a machine without boot ids, the broker stores these keys like those of applications.
  const uint32_t boot_ = std::max(boot_tag_of(time_.boot_id()), uint32_t{1});
  const uint64_t session_ = random_seed();
  std::atomic<uint64_t> count_ = 0;
};

} // namespace sluice
