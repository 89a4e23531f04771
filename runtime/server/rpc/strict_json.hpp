#pragma once

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <string_view>

namespace sluice::rpc {

/// Parses one JSON document (RFC 8259). Beyond the grammar it refuses what would be taken for something else than was
/// sent: integers that do not fit in 64 bits, reals that are infinite, members given twice, nesting deeper than 64
/// levels, and text that is no UTF-8. `errc::invalid_request` says what and where (in bytes from the start).
caf::expected<nlohmann::json> parse_strictly(std::string_view text);

} // namespace sluice::rpc
