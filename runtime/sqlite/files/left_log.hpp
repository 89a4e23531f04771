#pragma once

#include "runtime/store/file_registry.hpp"

#include <filesystem>

/// Write-ahead logs that a broker left when it was killed.
namespace sluice::sqlite {

/// Whether the database at `path`, beside the log that was left, has content that SQLite has not written: another
/// program wrote over it (`cp`). Its header is neither that of the last checkpoint, according to `record`, nor in the
/// log. False also when that cannot be determined. @pre no connection of this process has the database open, whose
/// locks would be dropped
bool was_overwritten(const file_record& record, const std::filesystem::path& path);

/// Whether the log beside the database at `path` was written for another file or other content than is there now.
/// @pre as above
bool has_log_of_other_file(const file_record& record, const std::filesystem::path& path);

} // namespace sluice::sqlite
