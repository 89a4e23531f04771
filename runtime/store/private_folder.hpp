#pragma once

#include "runtime/store/store_root.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// The suffix, followed by the time, of a file in `.sluice/` that other users could access.
inline constexpr std::string_view untrusted_suffix = ".untrusted-";

/// Renames the file at `path` in the same folder to `NAME.untrusted-MICROSECONDS`, and with a database its `-wal`,
/// `-shm` and `-journal`. Returns the new path; nothing when it cannot be renamed.
std::optional<std::filesystem::path> rename_untrusted(const std::filesystem::path& path);

/// Ensures that no other user owns a file in `.sluice/` or has one open. Making the folder private is not enough: it
/// may have been accessible before, and other users keep their files and descriptors. Files of other users are renamed
/// (`rename_untrusted`). Own files that others could open, or that have another hard link, are replaced by a private
/// copy, so that nothing is lost; the token is generated anew. Returns the changes, for people, one entry per file.
/// @pre the caller leads the store, and this process has none of the files open but the lock
std::vector<std::string> secure_own_files(const store_root& root);

} // namespace sluice
