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

/// What `write_store::begin` found.
struct begun_transaction {
  /// The number that the next commit record will carry.
  uint64_t next_seq = 0;
  /// A connection outside the broker has committed since the last transaction.
  bool external_commit = false;
  /// The ledger begins anew with this transaction, behind all numbers that were issued before: the id of the new epoch.
  std::string new_epoch = {};
  /// The newest commit in the ledger: `next_seq` less one, unless an epoch begins with the next.
  uint64_t last_seq = 0;
};

/// What another program did to the files of a database, and what became of it.
struct file_event {
  /// The `status` of its audit record.
  std::string_view status;
  /// For people.
  std::string text;
};

/// What executing one request did inside the open transaction.
struct executed_write {
  std::vector<statement_result> results;
  /// Tables whose content changed, triggers and cascades included; null when none.
  table_set tables;
  bool schema_changed = false;
  /// Whether the form of its statements bounds their work: single rows found by a key, no loops and no triggers.
  bool is_bounded = false;
};

/// One request of a commit, as the ledger remembers it.
struct ledger_entry {
  const write_request* request = nullptr;
  const write_result* result = nullptr;
  table_set tables;
};

enum class checkpoint_mode : uint8_t {
  /// Moves what it can without waiting for anyone.
  passive,
  /// Moves everything and cuts the WAL file to nothing, if no reader is in the way.
  truncate,
};

/// The writer's port to a database file: the only read-write connection to it. Used by one thread at a time.
///
/// Every error is a sluice error (`describe` reads it). After an error, `in_transaction` tells whether the transaction
/// is still there (only the statement was undone) or was lost as a whole.
class write_store {
public:
  virtual ~write_store() = default;

  /// Whether a connection to the file is open.
  virtual bool is_open() const = 0;

  /// How long the next `begin` may wait for a lock, at most; it is not longer than the store's own bound.
  virtual void wait_at_most(std::chrono::milliseconds) noexcept {}

  /// Opens the file if it is not open, makes it a WAL database with a ledger, and takes the write lock.
  /// `errc::busy` when an external process kept the lock for that time; the message names the process if it can be
  /// found.
  virtual caf::expected<begun_transaction> begin() = 0;

  /// Whether a transaction is open.
  virtual bool in_transaction() const = 0;

  /// Looks the request's idempotency key up: nothing when it is new, the first outcome (`replayed` set) when the
  /// payload is the same, `errc::payload_mismatch` when it is not. @pre a transaction is open
  virtual caf::expected<std::optional<write_result>> recall(const write_request& request) = 0;

  /// Keeps the outcome of a keyed request in the open transaction.
  virtual caf::expected<void> remember(const write_request& request, const write_result& result) = 0;

  /// Executes the request's statements, all or none; interrupted at `deadline`. @pre a transaction is open
  virtual caf::expected<executed_write> execute(const write_request& request, clock::steady deadline) = 0;

  /// Writes the commit record and commits. On error nothing is open any more; whether the commit happened is for
  /// `committed` to say.
  virtual caf::expected<void> commit(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries) = 0;

  /// Drops the open transaction, if any. Never fails: at worst it closes the connection.
  virtual void rollback() noexcept = 0;

  /// After a failed `commit`: whether it took effect, as read back on a new connection. Either answer is final, after
  /// crashes as well: what took effect is safe on the disk, and what did not cannot come back. An error means that this
  /// could not be brought about, so that the outcome is unknown.
  virtual caf::expected<bool> committed(uint64_t seq) = 0;

  /// Moves committed pages from the WAL into the database file. @pre no transaction is open
  virtual caf::expected<void> checkpoint(checkpoint_mode mode) = 0;

  /// Bytes in the WAL file that no checkpoint has moved yet, as of the last commit.
  virtual uint64_t wal_bytes() const = 0;

  /// Bytes in the WAL since it began anew, moved or not, as of the last commit or checkpoint. It begins anew with the
  /// first commit that finds everything moved and nobody reading from it.
  virtual uint64_t log_bytes() const = 0;

  /// Whether transactions that were rolled back since the last call have left the file of the WAL larger than `bytes`.
  /// What they wrote there is overwritten by and by, and counts in neither of the above.
  virtual bool take_overgrown_log(uint64_t /*bytes*/) { return false; }

  /// Whether another program has committed since the last call, as the readers of the database saw it, too. Needs no
  /// open connection.
  virtual bool take_external_commit() = 0;

  /// What was done to the files of the database since the last call, as the readers saw it, too.
  virtual std::vector<file_event> take_file_events() = 0;

  /// Forgets some of the idempotency keys that are older than the retention; returns how many, and may find more when
  /// it is called again. The clock of the keys runs with the time that has passed, whatever the wall clock does. The
  /// transactions of commits forget old keys as well, more than they add. @pre no transaction is open
  virtual caf::expected<uint64_t> prune_keys() = 0;

  struct removed_commits {
    uint64_t count = 0;
    /// Whether another call may remove more at once.
    bool has_more = false;
  };

  /// Removes some of the commit records that the settings let go, of the commits before `first_kept`.
  /// `errc::ledger_damaged` when one of them is broken. @pre no transaction is open
  virtual caf::expected<removed_commits> prune_commits(uint64_t /*first_kept*/) { return removed_commits{}; }

  /// How SQLite means to execute the statements (EXPLAIN QUERY PLAN), a line a step, steps of a step indented. Executes
  /// nothing. @pre no transaction is open
  virtual caf::expected<std::string> explain(std::span<const statement> statements) = 0;

  /// Closes the file in order, as at the end, lets go of its descriptors, and removes the log files that connections of
  /// readers left; the next `begin` opens it again. False when
  /// it has to stay open: a reader of this broker has a connection, or another program keeps the WAL from being moved.
  /// @pre no transaction is open
  virtual bool close_idle() = 0;
};

} // namespace sluice
