#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace sluice::sqlite {

/// A kind of database that the broker keeps for itself in `.sluice/`: how it is recognised, and what it is made of.
struct own_database {
  /// What it is called in messages, as "audit file".
  const char* name;
  /// The message about a file that is none of this kind.
  const char* mismatch_message;
  /// SQLite's `application_id`, which `file` and others show.
  int64_t application_id;
  /// SQLite's `user_version`.
  int64_t format;
  /// The first format that can be read, too; 0 when there is but one.
  int64_t oldest_format = 0;
};

/// Whether `db` is of this kind; false when it is empty, as a process leaves it that is killed before it has made the
/// tables. `errc::corrupt` when it is another application's, `protocol_mismatch` when it is of another format.
caf::expected<bool> is_own_database(const connection& db, const own_database& kind);

/// Opens `path` for reading and writing, for its owner alone. A database that is missing or empty is made from
/// `schema`, CREATE statements, in one transaction. SQLite checkpoints it by itself. `mode` and `auto_checkpoint_pages`
/// of `options` are not looked at. Errors as `connection::open` and `is_own_database`.
caf::expected<connection> open_own_database(const std::filesystem::path& path, const own_database& kind,
                                            const std::string& schema, connection_options options);

/// `errc::corrupt` for a database of this kind that a statement of ours does not fit; every other error as it is.
caf::error explain_mismatch(caf::error reason, const own_database& kind);

} // namespace sluice::sqlite
