#include "tests/simulation/disk_trouble.hpp"

#include <algorithm>

namespace sluice::simulation {

namespace {

using namespace std::chrono_literals;

// The files that faults may hit, by the ends of their names.
constexpr std::array<const char*, 8> files{"app.db-wal", "app.db",        "app.db-wal",  "audit.db-wal",
                                           "audit.db",   "buffer.db-wal", "logs.db-wal", ""};

} // namespace

sqlite::disk_fault fault_of(const incident& event, sqlite::disk_effect effect, dice& luck) {
  sqlite::disk_fault fault;
  fault.file = files[event.file];
  fault.on = static_cast<sqlite::disk_operation>(event.disk % 7);
  fault.effect = effect;
  fault.skip = event.skip;
  fault.times = event.times;
  if (effect == sqlite::disk_effect::delay) {
    // Prefers the sync of the WAL, for which a commit waits.
    fault.on = luck.chance(70) ? sqlite::disk_operation::sync : fault.on;
    fault.times = event.times * 5;
    fault.delay = std::min(event.time, 1'200ms);
  }
  return fault;
}

} // namespace sluice::simulation
