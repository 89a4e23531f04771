#pragma once

#include "actors/buffer/buffered_database.hpp"
#include "messages/audit.hpp"

#include <cstdint>
#include <vector>

namespace sluice {

/// The audit records of operations that were written, rejected or lost: one record per agent and table.
/// @param status "committed", or the name of the error
std::vector<audit_record> records_of(const flush_outcome& outcome, std::string_view status, int64_t ts_us);

} // namespace sluice
