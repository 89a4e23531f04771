#pragma once

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <string_view>

namespace sluice::rpc {

/// Parses one JSON document (RFC 8259). Beyond the grammar it refuses documents that parsers may read differently:
/// integers that do not fit in 64 bits, infinite reals, duplicate members, nesting deeper than 64 levels, and text that
/// is not UTF-8. The text of `errc::invalid_request` has the error and its position (in bytes from the start).
caf::expected<nlohmann::json> parse_strictly(std::string_view text);

} // namespace sluice::rpc
