#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// `bytes` in lower-case hexadecimal.
std::string to_hex(std::string_view bytes);

/// The reverse; nothing for any other text.
std::optional<std::string> from_hex(std::string_view text);

} // namespace sluice
