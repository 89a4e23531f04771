#pragma once

#include "runtime/store/store_lock.hpp"

#include <caf/expected.hpp>

#include <chrono>

namespace sluice {

/// The lock of `root`, for a broker that is to stay. Transient leaders are asked to hand over, also those that clients
/// start meanwhile: each answers what it was asked, closes, and goes. Errors as `store_lock::acquire`: a leader that is
/// to stay as well is not disturbed.
caf::expected<store_lock> take_over(const store_root& root, std::chrono::milliseconds budget);

/// Asks the leader of `root` to finish and go, and waits until it has closed everything; what clients start then is
/// another one. False when there was none. `errc::busy` when it is still there after `patience`.
caf::expected<bool> stop_leader(const store_root& root, std::chrono::milliseconds patience);

} // namespace sluice
