#pragma once

#include <string_view>

/// Patterns of names, in which `*` stands for any number of characters and every other character for itself. Pure
/// functions.
namespace sluice {

/// Whether `name` is one of the names that `pattern` means. With a pattern as `name` it says whether `pattern` means
/// all names that this one means.
bool matches(std::string_view pattern, std::string_view name) noexcept;

} // namespace sluice
