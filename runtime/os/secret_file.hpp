#pragma once

#include <caf/expected.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// A secret of 32 random bytes, as 64 hexadecimal digits. Read from `file`, which is made with a new one (mode 0600,
/// complete or not at all) if it does not exist; of several processes that make it at once all get the same. A file
/// that is a link, belongs to another user, may be read by others or holds something else is refused as
/// `errc::not_authorized` and left as it is. @param kind what messages call it, as "token file"
caf::expected<std::string> load_or_make_secret(const std::filesystem::path& file, std::string_view kind);

/// The same of a file that may be there; nothing when there is none.
caf::expected<std::optional<std::string>> load_secret(const std::filesystem::path& file, std::string_view kind);

} // namespace sluice
