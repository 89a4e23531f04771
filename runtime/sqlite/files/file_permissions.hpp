#pragma once

#include <filesystem>

namespace sluice::sqlite {

/// Creates an empty file for its owner alone if it is missing (SQLite would create it with the umask's mode), and sets
/// the mode of an existing one. Reports no error: opening the file does.
void make_private(const std::filesystem::path& path) noexcept;

} // namespace sluice::sqlite
