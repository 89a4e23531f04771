#pragma once

#include "messages/refusal.hpp"

namespace sluice {

/// An actor that answers with the failure it is sent, in the thread that asks it. So it needs no actor system, and
/// hosts hear the reason after the broker's has gone as well.
refusal_actor make_refusing_actor(caf::actor_system& system);

} // namespace sluice
