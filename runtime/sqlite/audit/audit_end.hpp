#pragma once

#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/store/file_registry.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace sluice::sqlite {

/// Describes the records that the audit file `path` lacks, for people; empty when there are none. A chain that was cut
/// short looks complete, and so does an empty or an older file; but `registry` has a record that the file had. If it
/// has none, a file without records lacks some if `registry` has databases and `source` finds commits of them. A
/// missing file counts as empty. Errors as `connection::open` and `check_audit_file`.
/// @param boot this boot of the machine, as `clock::boot_id`
/// @param immutable as in `connection_options`
caf::expected<std::string> find_missing_records(const std::filesystem::path& path, const file_registry& registry,
                                                std::string_view boot, const ledger_source& source,
                                                bool immutable = false);

} // namespace sluice::sqlite
