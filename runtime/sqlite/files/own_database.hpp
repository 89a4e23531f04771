#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace sluice::sqlite {

/// A kind of database that the broker keeps for itself in `.sluice/`: how it is identified, and its format.
struct own_database {
  /// Its name in messages, as "audit file".
  const char* name;
  /// The message about a file of another kind.
  const char* mismatch_message;
  /// SQLite's `application_id`, which `file` and others show.
  int64_t application_id;
  /// SQLite's `user_version`.
  int64_t format;
  /// The oldest readable format; 0 when there is only one.
  int64_t oldest_format = 0;
};

/// Whether `db` is of this kind; false when it is empty, as a process leaves it that was killed before it created the
/// tables. `errc::corrupt` when it belongs to another application, `protocol_mismatch` when it has another format.
caf::expected<bool> is_own_database(const connection& db, const own_database& kind);

/// Opens `path` for reading and writing, for its owner alone. Creates a missing or empty database from `schema` (CREATE
/// statements) in one transaction. SQLite checkpoints it automatically. Ignores `mode` and `auto_checkpoint_pages` of
/// `options`. Errors as `connection::open` and `is_own_database`.
caf::expected<connection> open_own_database(const std::filesystem::path& path, const own_database& kind,
                                            const std::string& schema, connection_options options);

/// `errc::corrupt` for a database of this kind that a statement of the broker does not fit; every other error
/// unchanged.
caf::error explain_mismatch(caf::error reason, const own_database& kind);

} // namespace sluice::sqlite
