#pragma once

#include "runtime/os/file_identity.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace sluice {

/// The `hello` that opens a connection, a line: the protocol, and the store that the client means, if that is known. A
/// broker of another store refuses this connection then, and what was sent behind the `hello` with it.
std::string greeting(const std::optional<file_identity>& root);

/// Whether a broker that answered with this error is about to go, and will have a successor.
bool is_stepping_down(const nlohmann::json& error);

/// Asks the broker at a connected socket which folder it leads, and waits for the answer, before anything else is sent:
/// for sockets that a broker of another store, or of an older version, might listen at. `errc::wrong_store` when it is
/// not `root`, `protocol_mismatch` when it does not say and `trust_silence` is not set, `unavailable` when it is
/// stepping down or ends the connection, `deadline_exceeded` when it does not answer by `limit`, else what it answered.
caf::expected<void> confirm_root(int socket, const file_identity& root, bool trust_silence,
                                 std::chrono::steady_clock::time_point limit);

} // namespace sluice
