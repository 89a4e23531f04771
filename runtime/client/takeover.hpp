#pragma once

#include "runtime/store/store_lock.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <string>

namespace sluice {

/// Acquires the lock of `root`, for a permanent broker. Asks transient leaders to hand over, also those that clients
/// start meanwhile: each answers its requests, closes, and ends. Errors as `store_lock::acquire`: another permanent
/// leader is not disturbed.
caf::expected<store_lock> take_over(const store_root& root, std::chrono::milliseconds budget);

/// Tells the leader of `root` to finish and end, and waits until it has closed everything; a broker that clients start
/// then is another one. False when there was none. `errc::busy` when it still runs after `timeout`. `agent` is who
/// asks; this process if it is empty. A mistake in `sluice.toml` does not matter.
caf::expected<bool> stop_leader(const store_root& root, std::chrono::milliseconds timeout, const std::string& agent);

} // namespace sluice
