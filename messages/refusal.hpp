#pragma once

#include "messages/interfaces.hpp"

namespace sluice {

/// Answers with the failure that it is sent. Front doors use it where they refuse a request before it reaches an actor,
/// so that the caller's continuation runs in one way only.
using refusal_actor = caf::typed_actor<
  // Refuses a write.
  caf::replies_to<failure, write_request>::with<write_result>,
  // Refuses a read.
  caf::replies_to<failure, read_request>::with<read_result>,
  // Refuses a cursor.
  caf::replies_to<failure, open_cursor>::with<cursor_page>, caf::replies_to<failure, next_page>::with<cursor_page>,
  // Refuses a request to the write-behind buffer.
  caf::replies_to<failure, buffer_put>::with<buffer_receipt>, caf::replies_to<failure, buffer_get>::with<buffered_row>,
  caf::replies_to<failure, flush_request>::with<flush_report>,
  caf::replies_to<failure, rejected_decision>::with<uint64_t>>;

} // namespace sluice
