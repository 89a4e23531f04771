#pragma once

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"

#include <caf/expected.hpp>

#include <cstdint>

namespace sluice::sqlite {

/// Whether a COMMIT that failed with `code` may have written its whole transaction. The frame that commits is the last
/// one to be written, so what failed to be written was not whole. @param code extended
bool may_be_whole(int code) noexcept;

/// Whether the commit record `seq` with this hash is what `db` sees. Errors as `has_ledger`.
caf::expected<bool> sees_commit(const connection& db, uint64_t seq, const digest& hash);

/// Takes from a COMMIT that failed the way back. The log may hold it whole behind its end, where nobody sees it, and
/// who recovers the log next (after a crash, or when all had closed the file) would take it for committed. So a
/// transaction that changes nothing is committed in its place, and waits for the disk whatever `synchronous` says: the
/// sums of all frames behind it no longer hold.
///
/// False, and nothing is written, when the commit is seen by now. An error means that nobody knows what a recovery
/// would find; a transaction may then be open. @pre `db` can write, and has no transaction open
caf::expected<bool> overwrite_lost_commit(connection& db, uint64_t seq, const digest& hash,
                                          synchronous_mode synchronous);

/// The same where nobody but `db` has the file open, so that it is not seen.
caf::expected<void> overwrite_lost_commit(connection& db, synchronous_mode synchronous);

} // namespace sluice::sqlite
