#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"

#include <string_view>

namespace sluice::rpc {

/// Reads the line of an answer to `write` or `read` without a tree of it: one of moderate size, with a result that has
/// every member, and no others, and no tagged values. False for any other line; `to` may be changed all the same.
/// Thread-safe.
bool read_answer(std::string_view line, write_result& to);
bool read_answer(std::string_view line, read_result& to);

} // namespace sluice::rpc
