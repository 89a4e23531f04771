#pragma once

#include "messages/buffer.hpp"

namespace sluice {

/// The statement that executes the operation: INSERT ... ON CONFLICT, UPDATE or DELETE. Names are quoted, values bound.
statement statement_of(const buffer_put& operation);

/// The query for the row with this key.
statement query_of(const row_key& key);

} // namespace sluice
