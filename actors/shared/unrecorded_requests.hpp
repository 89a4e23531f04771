#pragma once

#include "messages/audit.hpp"

#include <string_view>

namespace sluice {

/// The audit record of such a request. The record leaves out invalid names, so that it holds no terminal control
/// sequence and no database outside the root.
/// @param status "ok", or the word of an error
/// @param ts_us microseconds since the Unix epoch
audit_record record_of(const unrecorded_request& x, std::string_view status, int64_t ts_us);

} // namespace sluice
