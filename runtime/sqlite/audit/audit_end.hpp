#pragma once

#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/store/file_registry.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace sluice::sqlite {

/// The records that the audit file `path` lacks, for people; empty when none. A chain that was cut short looks whole,
/// and so does an empty or an older file: `registry` knows a record that the file had. Where it knows none, a file
/// without records lacks some if `registry` knows databases and `source` finds commits of them. A missing file counts
/// as empty. Errors as `connection::open` and `check_audit_file`. @param boot this start of the machine, as
/// `clock::boot`
/// @param immutable as in `connection_options`
caf::expected<std::string> find_missing_records(const std::filesystem::path& path, const file_registry& registry,
                                                std::string_view boot, const ledger_source& source,
                                                bool immutable = false);

} // namespace sluice::sqlite
