#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// Base64 with padding (RFC 4648, section 4).
std::string to_base64(std::string_view bytes);

/// The reverse; nothing if `text` is not Base64.
std::optional<std::string> from_base64(std::string_view text);

/// The same with the alphabet for URLs and without padding (RFC 4648, section 5). Each sequence of bytes has one text.
std::string to_base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

} // namespace sluice
