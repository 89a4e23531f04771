#pragma once

#include "actors/buffer/write_behind.hpp"
#include "messages/audit.hpp"

#include <cstdint>
#include <vector>

namespace sluice {

/// What the audit says about operations that were written, set aside or lost: one record per agent and table.
/// @param status "committed", or the word of the error
std::vector<audit_record> records_of(const flush_outcome& x, std::string_view status, int64_t ts_us);

} // namespace sluice
