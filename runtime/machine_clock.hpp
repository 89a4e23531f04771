#pragma once

#include "actors/clock.hpp"

namespace sluice {

/// The machine's own time.
class machine_clock final : public clock {
public:
  steady now() const override { return std::chrono::steady_clock::now(); }
  wall wall_now() const override { return std::chrono::system_clock::now(); }
};

} // namespace sluice
