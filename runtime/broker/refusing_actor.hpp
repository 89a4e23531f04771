#pragma once

#include "messages/refusal.hpp"

namespace sluice {

/// An actor that answers with the failure it is sent, in the thread of the sender. So it needs no actor system, and
/// hosts get the reason even after the broker's system has gone.
refusal_actor make_refusing_actor(caf::actor_system& system);

} // namespace sluice
