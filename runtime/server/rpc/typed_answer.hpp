#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"

#include <optional>
#include <string_view>

namespace sluice::rpc {

/// Reads the line of an answer to `write` or `read` without a tree of it: one of moderate size, with a result that has
/// every member, and no others, and no tagged values. Nothing for any other line. Thread-safe.
template <class Result> std::optional<Result> read_answer(std::string_view line) = delete;
template <> std::optional<write_result> read_answer<write_result>(std::string_view line);
template <> std::optional<read_result> read_answer<read_result>(std::string_view line);

} // namespace sluice::rpc
