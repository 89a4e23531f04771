#pragma once

#include "runtime/os/file_identity.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace sluice {

/// The `hello` line that opens a connection: the protocol, and the client's store, if known. A broker of another store
/// then refuses this connection with all its requests.
std::string greeting(const std::optional<file_identity>& root);

/// Whether a broker that answered with this error is about to end, and will have a successor.
bool is_stepping_down(const nlohmann::json& error);

/// Queries the broker at a connected socket for the folder that it leads, and waits for the answer, before any request
/// is sent: for sockets at which a broker of another store, or of an older version, may listen. `errc::wrong_store`
/// when it is not `root`, `protocol_mismatch` when it does not report it and `trust_silence` is not set, `unavailable`
/// when it is stepping down or ends the connection, `deadline_exceeded` when it does not answer by `limit`, else its
/// error.
caf::expected<void> confirm_root(int socket, const file_identity& root, bool trust_silence,
                                 std::chrono::steady_clock::time_point limit);

} // namespace sluice
