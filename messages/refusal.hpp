#pragma once

#include "messages/interfaces.hpp"

namespace sluice {

/// Answers with the failure it is sent. Front doors use it where a request is refused before it reaches an actor, so
/// that the caller's continuation runs in one way only.
using refusal_actor = caf::typed_actor<
  // Refuses a write.
  caf::replies_to<failure, write_request>::with<write_result>,
  // Refuses a read.
  caf::replies_to<failure, read_request>::with<read_result>>;

} // namespace sluice
