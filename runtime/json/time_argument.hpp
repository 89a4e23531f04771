#pragma once

#include <caf/expected.hpp>

#include <cstdint>
#include <string_view>

namespace sluice {

/// Reads a point in time, in microseconds since the Unix epoch: ISO 8601 (`2024-02-29`, `2024-02-29T12:00`,
/// `...:30.5Z`, `...+02:00`; UTC where no offset is given), or a time before `now_us` (`30s`, `10m`, `2h`, `3d`).
/// `errc::invalid_request` for anything else.
caf::expected<int64_t> parse_since(std::string_view text, int64_t now_us);

} // namespace sluice
