#pragma once

#include "actors/base/clock.hpp"
#include "messages/automatic_key.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace sluice::simulation {

/// The idempotency keys of the clients, which the plan numbers.
class client_keys {
public:
  /// Half of the keys are those of an application, the others are generated as by the client library, at the first
  /// attempt.
  const std::string& text(uint64_t number, const clock& time) {
    auto [key, is_new] = texts_.try_emplace(number);
    if (!is_new)
      return key->second;
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.since_boot()).count();
    key->second =
      number % 2 == 0
        ? "key-" + std::to_string(number)
        : to_string(automatic_key{boot_tag_of(time.boot_id()), static_cast<uint64_t>(ms), number % 3, number});
    return key->second;
  }

private:
  std::map<uint64_t, std::string> texts_;
};

} // namespace sluice::simulation
