#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::validate {

/// A family of languages with the same comments and literals. `c` includes C++ and Objective-C, `javascript`
/// TypeScript.
enum class language : uint8_t { c, rust, go, python, javascript, shell };

std::string_view to_string(language of) noexcept;

/// The language of a file by the ending of its name; nothing for other endings.
std::optional<language> language_of_name(std::string_view name) noexcept;

/// Whether the name has no ending, so that only its first line can tell the language: `run`, `.bashrc`.
bool has_no_ending(std::string_view name) noexcept;

/// The language that a first line such as `#!/usr/bin/env python3` names; nothing without one, or for others.
std::optional<language> language_of_first_line(std::string_view line) noexcept;

} // namespace sluice::validate
