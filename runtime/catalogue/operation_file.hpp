#pragma once

#include "runtime/catalogue/operation.hpp"

#include <caf/expected.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The most bytes that an operation file may have.
inline constexpr size_t max_operation_file_bytes = size_t{1} << 20;

/// The operations of a file in the format of docs/guides/operations.md, in the order of the file. An empty text has
/// none. Pure; safe from any thread; takes time in proportion to the length of `text`.
///
/// The whole file is read. `errc::invalid_request` says the mistake that comes first in the text, as
/// `FILE:LINE: reason`; the line is one of the file's, from 1.
/// @param file the name for messages, such as `operations/notes.sql`; no path outside the store root
caf::expected<std::vector<operation>> parse_operation_file(std::string_view text, std::string_view file);

} // namespace sluice
