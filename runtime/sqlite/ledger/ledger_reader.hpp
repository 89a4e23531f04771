#pragma once

#include "messages/audit.hpp"
#include "messages/invalidation.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/chain_check.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::sqlite {

/// One commit record.
struct ledger_commit {
  uint64_t seq = 0;
  /// Microseconds since the Unix epoch.
  int64_t ts_us = 0;
  std::string prev_hash;
  std::string hash;
  /// False when the record does not match its own hash or cannot be read; `requests` may then be wrong or missing.
  bool intact = true;
  std::vector<ledger_request> requests;
  /// False when `find_missing_keys` has found that the ledger has removed some of its keys early.
  bool has_keys = true;
};

/// Reads a database's ledger through a read-only connection of its own. Move-only; used by one thread at a time.
class ledger_reader {
public:
  /// Errors as `connection::open` and `has_ledger`; a database without a ledger opens and has no commits.
  /// @param immutable as in `connection_options`
  static caf::expected<ledger_reader> open(const std::filesystem::path& path, bool immutable = false);

  /// Uses a connection that is open already. Errors as `has_ledger`.
  static caf::expected<ledger_reader> on(connection db);

  /// Checks its numbers, its newest commits and their keys, as a writer does before it writes. Errors as
  /// `read_ledger_state`.
  caf::expected<void> check();

  /// The commits after `seq` in order, at most `limit` of them.
  caf::expected<std::vector<ledger_commit>> after(uint64_t seq, uint64_t limit);

  /// Checks whether the idempotency keys of `commits` exist, and sets `has_keys`. Skips earlier epochs.
  caf::expected<void> find_missing_keys(std::vector<ledger_commit>& commits);

  /// Recomputes the whole chain; `records` are commits. Continues after a broken record. Does not count records again
  /// that were broken when the epoch began.
  /// @param key_file as in `doubt_about`
  caf::expected<audit_verdict> verify(const std::filesystem::path& key_file = {});

  /// The current epoch of the ledger.
  const ledger_epoch& epoch() const noexcept { return epoch_; }

  /// The anchor of its chain; nothing when it begins with the first commit.
  const std::optional<chain_anchor>& anchor() const noexcept { return anchor_; }

private:
  ledger_reader(connection db, bool empty, ledger_epoch epoch, std::optional<chain_anchor> anchor)
    : db_(std::move(db)), empty_(empty), epoch_(std::move(epoch)), anchor_(std::move(anchor)) {}

  connection db_;
  bool empty_;
  ledger_epoch epoch_;
  std::optional<chain_anchor> anchor_;
  chain_hash hash_;
};

/// Recomputes the whole chain of the ledger in `db`, and checks whether the keys of its commits exist as long as the
/// retention requires. @pre `db` has one
/// @param key_file as in `doubt_about`
caf::expected<chain_verdict> verify_chain(const connection& db, const ledger_epoch& epoch,
                                          const std::filesystem::path& key_file = {});

/// The tables that the commits after `seq` changed, in order, at most `limit` of them: the notifications of
/// `database::listen`, from the ledger of the file at `path`. `db` of each is `name`. `everything` is set where a
/// request changed `sqlite_schema`, for a damaged record, for the first one, which created the ledger's own tables, and
/// in one notification for all commits whose records were removed. External commits are in no ledger. Empty when `seq`
/// is the newest or there is no ledger. Errors as `ledger_reader::open` and `after`. Opens a connection of its own;
/// blocks.
caf::expected<std::vector<invalidation>> commits_after(const std::filesystem::path& path, uint64_t seq, uint64_t limit,
                                                       const std::string& name = {});

} // namespace sluice::sqlite
