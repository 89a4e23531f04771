#pragma once

#include "messages/error.hpp"

#include <caf/error.hpp>

struct sqlite3;

namespace sluice::sqlite {

/// The word of the outside contract for an (extended) result code of SQLite; decided by the code alone, never by
/// message text. `interrupted` is what an interruption means to the caller. @pre `code` is an error
errc classify(int code, errc interrupted = errc::deadline_exceeded) noexcept;

/// Wraps the failure `code` of `db` as a sluice error. SQLite's own message is used where it speaks of the SQL, which
/// is where it cannot name a path; everything else is said in our words. A system call that failed for lack of space is
/// `disk_full`, whichever call it was. `db` may be null.
caf::error to_error(sqlite3* db, int code, errc interrupted = errc::deadline_exceeded);

/// Whether a connection that reported `code` should be closed: what it holds in memory may not match the file.
bool spoils_connection(int code) noexcept;

/// The same, where only the word is left of it; rather closes once too often.
bool spoils_connection(errc code) noexcept;

} // namespace sluice::sqlite
