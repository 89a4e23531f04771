#pragma once

#include <caf/expected.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// A secret of 32 random bytes, as 64 hexadecimal digits. Read from `file`; created (mode 0600, completely or not at
/// all) if it does not exist. Several processes that create it concurrently all get the same. A file that is a link,
/// belongs to another user, can be read by others or has other content is refused as `errc::not_authorized` and left
/// unchanged. @param kind its name in messages, as "token file"
caf::expected<std::string> load_or_make_secret(const std::filesystem::path& file, std::string_view kind);

/// As `load_or_make_secret`, without creating the file; nothing when there is none.
caf::expected<std::optional<std::string>> load_secret(const std::filesystem::path& file, std::string_view kind);

} // namespace sluice
