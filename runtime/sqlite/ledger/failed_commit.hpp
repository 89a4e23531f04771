#pragma once

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"

#include <caf/expected.hpp>

#include <cstdint>

namespace sluice::sqlite {

/// Whether a COMMIT that failed with `code` may have written its whole transaction. The commit frame is written last,
/// so if a write failed the transaction is not complete. @param code extended
bool wal_may_hold_commit(int code) noexcept;

/// Whether `db` sees the commit record `seq` with this hash. Errors as `has_ledger`.
caf::expected<bool> sees_commit(const connection& db, uint64_t seq, const digest& hash);

/// Makes a failed COMMIT final: WAL recovery can no longer resurrect it. Its frames may be complete after the end of
/// the log, where no connection sees them, and the next recovery (after a crash, or when all connections had closed)
/// would consider them committed. This commits a transaction without changes over them, with an fsync whatever
/// `synchronous` is: the checksums of all frames after it are then invalid.
///
/// False, and nothing is written, when the commit is visible by now. After an error the result of a recovery is
/// unknown; a transaction may then be open. @pre `db` can write, and has no transaction open
caf::expected<bool> overwrite_lost_commit(connection& db, uint64_t seq, const digest& hash,
                                          synchronous_mode synchronous);

/// As above, if only `db` has the file open, so that the commit cannot be visible.
caf::expected<void> overwrite_lost_commit(connection& db, synchronous_mode synchronous);

} // namespace sluice::sqlite
