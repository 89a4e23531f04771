#pragma once

#include "actors/base/clock.hpp"
#include "messages/invalidation.hpp"
#include "messages/write.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The result of `write_store::begin`.
struct begun_transaction {
  /// The number of the next commit record.
  uint64_t next_seq = 0;
  /// A connection outside the broker has committed since the last transaction.
  bool external_commit = false;
  /// If not empty, the ledger begins a new epoch with this transaction, after all numbers that were issued before: the
  /// id of that epoch.
  std::string new_epoch = {};
  /// The newest commit in the ledger: `next_seq` - 1, unless an epoch begins with the next one.
  uint64_t last_seq = 0;
};

/// A change that another program made to the files of a database, and its consequence.
struct file_event {
  /// The `status` of its audit record.
  std::string_view status;
  /// For people.
  std::string text;
};

/// The result of executing one request inside the open transaction.
struct executed_write {
  std::vector<statement_result> results;
  /// The changed tables, by triggers and cascades too; null when there are none.
  table_set tables;
  bool schema_changed = false;
  /// Whether the form of its statements bounds their work: single rows found by a key, no loops and no triggers.
  bool is_bounded = false;
};

/// One request of a commit, as the ledger stores it.
struct ledger_entry {
  const write_request* request = nullptr;
  const write_result* result = nullptr;
  table_set tables;
};

enum class checkpoint_mode : uint8_t {
  /// Moves the frames that it can move without waiting.
  passive,
  /// Moves all frames and truncates the WAL file to zero bytes, if no reader prevents it.
  truncate,
};

/// The writer's port to a database file: the only read-write connection to it. Used by one thread at a time.
///
/// Every error is a sluice error (`describe` reads it). After an error, `in_transaction` tells whether the transaction
/// is still open (only the statement was undone) or was lost.
class write_store {
public:
  virtual ~write_store() = default;

  /// Whether a connection to the file is open.
  virtual bool is_open() const = 0;

  /// Limits the wait of the next `begin` for a lock; the store's own bound still applies.
  virtual void wait_at_most(std::chrono::milliseconds) noexcept {}

  /// Opens the file if it is not open, makes it a WAL database with a ledger, and takes the write lock. `errc::busy`
  /// when an external process kept the lock for that time; the message names the process if it can be found.
  virtual caf::expected<begun_transaction> begin() = 0;

  /// Whether a transaction is open.
  virtual bool in_transaction() const = 0;

  /// Looks up the request's idempotency key: nothing when it is new, the first outcome (`replayed` set) when the
  /// payload is the same, `errc::payload_mismatch` when it is not. The same for the number of a migration:
  /// `errc::conflict` when it was applied with another hash, or a later one was applied. @pre a transaction is open
  virtual caf::expected<std::optional<write_result>> recall(const write_request& request) = 0;

  /// Stores the outcome of a request with a key, and the row of a migration, in the open transaction.
  virtual caf::expected<void> remember(const write_request& request, const write_result& result) = 0;

  /// Executes the request's statements, all or none; interrupts them at `deadline`. @pre a transaction is open
  virtual caf::expected<executed_write> execute(const write_request& request, clock::steady deadline) = 0;

  /// Writes the commit record and commits. After an error no transaction is open; call `committed` to find out whether
  /// the commit took effect.
  virtual caf::expected<void> commit(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries) = 0;

  /// Drops the open transaction, if any. Never fails; if necessary it closes the connection.
  virtual void rollback() noexcept = 0;

  /// After a failed `commit`: whether it took effect, read back on a new connection. Either answer is final even after
  /// a crash: a commit that took effect is synced to the disk, and one that did not cannot reappear. After an error
  /// neither is certain, so the outcome is unknown.
  virtual caf::expected<bool> committed(uint64_t seq) = 0;

  /// Moves committed pages from the WAL into the database file. @pre no transaction is open
  virtual caf::expected<void> checkpoint(checkpoint_mode mode) = 0;

  /// Bytes in the WAL file that no checkpoint has moved yet, as of the last commit.
  virtual uint64_t wal_bytes() const = 0;

  /// Bytes in the WAL since it last restarted, moved or not, as of the last commit or checkpoint. It restarts with the
  /// first commit that finds everything moved and no reader in it.
  virtual uint64_t log_bytes() const = 0;

  /// Whether transactions that were rolled back since the last call have left the file of the WAL larger than `bytes`.
  /// Later transactions overwrite their frames, which neither of the functions above counts.
  virtual bool take_overgrown_log(uint64_t /*bytes*/) { return false; }

  /// Whether another program has committed since the last call; includes commits that the readers of the database have
  /// detected. Needs no open connection.
  virtual bool take_external_commit() = 0;

  /// The changes to the files of the database since the last call; includes those that the readers have detected.
  virtual std::vector<file_event> take_file_events() = 0;

  /// Removes some of the idempotency keys that are older than the retention; returns their number. Further calls may
  /// remove more. The clock of the keys follows the time that has passed, whatever the wall clock does. The
  /// transactions of commits also remove old keys, more than they add. @pre no transaction is open
  virtual caf::expected<uint64_t> prune_keys() = 0;

  struct removed_commits {
    uint64_t count = 0;
    /// Whether another call may remove more now.
    bool has_more = false;
  };

  /// Removes some of the commit records beyond the retention, only of the commits before `first_kept`.
  /// `errc::ledger_damaged` when one of them is broken. @pre no transaction is open
  virtual caf::expected<removed_commits> prune_commits(uint64_t /*first_kept*/) { return removed_commits{}; }

  /// SQLite's plan for the statements (EXPLAIN QUERY PLAN), one line per step, indented by level. Executes nothing.
  /// @pre no transaction is open
  virtual caf::expected<std::string> explain(std::span<const statement> statements) = 0;

  /// Closes the file in order, as at the end, releases its descriptors, and removes the log files that connections of
  /// readers left; the next `begin` opens it again. False when it must stay open: a reader of this broker has a
  /// connection, or another program prevents the WAL from being moved.
  /// @pre no transaction is open
  virtual bool close_idle() = 0;
};

} // namespace sluice
