#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

namespace sluice::cli {

/// A time as people read it: microseconds, milliseconds, seconds, minutes or hours.
std::string duration_text(uint64_t us);

/// SQL on one line, cut after 60 bytes.
std::string short_sql(const std::string& sql);

/// A table of the requests under way in a broker's status, the oldest ten, behind an empty line; empty when there are
/// none, or the broker is too old to list them.
std::string running_text(const nlohmann::json& status);

} // namespace sluice::cli
