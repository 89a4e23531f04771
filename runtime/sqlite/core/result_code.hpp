#pragma once

#include "messages/error.hpp"

#include <caf/error.hpp>

struct sqlite3;

namespace sluice::sqlite {

/// The error code for an (extended) result code of SQLite; decided by the result code alone, never by message text.
/// `interrupted` is the meaning of an interrupt for the caller. @pre `code` is an error
errc classify(int code, errc interrupted = errc::deadline_exceeded) noexcept;

/// Converts the failure `code` of `db` to a sluice error. SQLite's own message is used where it is about the SQL and
/// cannot contain a path; all others are replaced. A system call that failed for lack of space is always `disk_full`.
/// `db` may be null.
caf::error to_error(sqlite3* db, int code, errc interrupted = errc::deadline_exceeded);

/// Whether a connection that reported `code` should be closed: its memory may not match the file.
bool spoils_connection(int code) noexcept;

/// As above, if only the error code is known; true if in doubt.
bool spoils_connection(errc code) noexcept;

} // namespace sluice::sqlite
