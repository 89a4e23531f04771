#pragma once

#include "messages/refusal.hpp"

namespace sluice {

/// An actor that answers with the failure that it is sent, in the thread of the sender. It needs no actor system, so
/// hosts get the error even after the broker's system has gone.
refusal_actor make_refusing_actor(caf::actor_system& system);

} // namespace sluice
