#pragma once

#include <chrono>
#include <string>

namespace sluice::launcher {

/// Starts a broker of the store in the folder `root` that elects itself, and waits until it serves, at most for
/// `timeout`. False when it does not serve by then, when another process leads or starts one, and for a store that
/// needs the care of the main program: its first use, files of other users, a full `broker.log`. Whatever the reason,
/// the main program finds out what to do next.
bool start_candidate(const std::string& root, std::chrono::milliseconds timeout);

} // namespace sluice::launcher
