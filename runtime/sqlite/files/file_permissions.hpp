#pragma once

#include <filesystem>

namespace sluice::sqlite {

/// Makes an empty file for its owner alone if it is missing (SQLite would make it with the umask's mode), and gives an
/// existing one that mode. Reports no error: opening the file does.
void make_private(const std::filesystem::path& path) noexcept;

} // namespace sluice::sqlite
