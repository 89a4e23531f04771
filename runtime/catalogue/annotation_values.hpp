#pragma once

#include "runtime/catalogue/operation.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Words, bounds, durations and counts of annotations. Pure functions, safe from any thread. Those that answer with a
/// text say why their argument cannot be used; it is empty if they read it.
namespace sluice {

/// Cuts the first word off `text`, which ends before a blank or one of `ends`.
std::string_view take_word(std::string_view& text, std::string_view ends);

/// The place of `word` among `known`; nothing if it is none of them.
std::optional<size_t> place_among(std::string_view word, std::span<const std::string_view> known);

/// `there is no type 'txt', did you mean text?`, or with all that are `known` if none of them is near.
std::string unknown_word(std::string_view noun, std::string_view word, std::span<const std::string_view> known);

/// `(1..100)`, `(1..)` or `(..100)` for the type of `to`. The answer continues a sentence about the parameter.
std::string read_bounds(std::string_view text, operation_parameter& to);

/// `250ms`, `60s`, `5min` or `1h`: 1 ms to 24 hours.
std::string read_duration(std::string_view text, std::optional<std::chrono::milliseconds>& to);

/// A number of rows.
std::string read_count(std::string_view text, std::optional<int64_t>& to);

} // namespace sluice
