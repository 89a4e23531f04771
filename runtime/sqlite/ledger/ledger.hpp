#pragma once

#include "actors/writer/write_store.hpp"
#include "messages/ledger.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/key_clock.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"
#include "runtime/sqlite/ledger/ledger_keys.hpp"
#include "runtime/sqlite/ledger/ledger_pruning.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace sluice::sqlite {

/// The number of the newest commit in the file at `path`; 0 when it has no ledger or no commit yet. Errors as
/// `connection::open` and `has_ledger`.
caf::expected<uint64_t> last_commit_seq(const std::filesystem::path& path);

struct ledger_settings {
  std::chrono::microseconds key_retention{std::chrono::hours{24}};
  ledger_retention retention{};
  /// A power cut may remove acknowledged commits from the end of the ledger (`synchronous = normal`): an early end is
  /// then no damage, and the ledger continues in a new epoch.
  bool may_lose_end = false;
};

/// The ledger inside the user's database, written in the same transactions as the changes that it records:
/// `_sluice_commits` has one hash-chained record per COMMIT, with the outcomes under automatic keys; `_sluice_keys` has
/// the outcome under each other idempotency key, `_sluice_meta` the format, the epoch, the boots of the machine and the
/// clock of the keys. Works on the writer's connection, in its thread.
///
/// Its statements run without the authorizer: `enter` has checked, in the same transaction, that no trigger is on the
/// tables, and the authorizer cannot distinguish an old plan of a request from a statement of the ledger.
class ledger {
public:
  /// `known` is the ledger standing, which the ledger updates; all arguments outlive this.
  ledger(const connection& db, const clock& time, ledger_settings settings, ledger_standing& known)
    : db_(db), time_(time), settings_(settings), known_(known), clock_(time), keys_(db, time),
      pruning_(db, time, settings_.retention) {}

  /// Joins the transaction just begun: creates the tables if they are missing, and reads the last record if it is not
  /// known. With `reread`, because another program has committed, it reads everything again. Errors as `has_ledger` and
  /// `read_ledger_state`; also `ledger_damaged` when the ledger contradicts what is known of it.
  caf::expected<void> enter(bool reread);

  /// Whether the open transaction created the tables.
  bool created() const noexcept { return created_; }

  /// The id of the epoch that the open transaction began although commits had been issued before; empty if there is
  /// none.
  const std::string& begun_epoch() const noexcept { return begun_epoch_; }

  /// The newest commit in it.
  uint64_t last_seq() const noexcept { return head_seq_; }

  uint64_t next_seq() const noexcept { return std::max(head_seq_ + 1, epoch_.first); }

  /// As in `write_store`.
  caf::expected<std::optional<write_result>> recall(const write_request& request) {
    return keys_.recall(request, next_seq());
  }
  caf::expected<void> remember(const write_request& request, const write_result& result);

  /// Adds the commit record and returns its hash. `errc::internal` when `seq` is not the next one. Removes some old
  /// keys, more than the transaction has added.
  caf::expected<digest> append(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries);

  /// The transaction ended. Unless it is known to have committed, the next `enter` reads everything again.
  void committed();
  void lost() noexcept;

  /// Whether there are known keys to remove. Reads the clock once.
  bool has_old_keys();

  /// Removes those of the `limit` oldest keys that are older than the retention, in the open transaction; returns their
  /// number. @pre entered
  caf::expected<uint64_t> forget_old_keys(uint64_t limit);

  /// Removes some of the commit records that are older than the retention, in the open transaction: of those before the
  /// commit `first_kept`, except the newest one and those that a repeated request may need. Errors as
  /// `ledger_pruning::remove`. @pre entered
  caf::expected<pruned_records> prune(uint64_t first_kept);

  bool ready() const noexcept { return ready_; }

private:
  caf::expected<void> create();
  caf::expected<void> accept();
  caf::expected<void> begin_epoch(uint64_t first);
  caf::expected<void> note_boot(uint64_t seq);
  caf::expected<void> prepare();
  caf::expected<void> read_head();
  caf::expected<void> read_oldest_key();

  const connection& db_;
  const clock& time_;
  const ledger_settings settings_;
  ledger_standing& known_;
  key_clock clock_;
  ledger_keys keys_;
  boot_ranges boots_;
  ledger_pruning pruning_;
  ledger_epoch epoch_;
  bool ready_ = false;
  bool created_ = false;
  // `ready_` depends on rows that the open transaction has written.
  bool ready_is_uncommitted_ = false;
  std::string begun_epoch_;
  bool head_known_ = false;
  uint64_t head_seq_ = 0;
  std::string head_hash_;
  uint64_t appended_seq_ = 0;
  digest appended_hash_{};
  // Since `enter`.
  uint64_t remembered_ = 0;
  int64_t now_us_ = 0;
  // Measured by the clock of the keys; empty when it must be read.
  std::optional<int64_t> oldest_key_us_;
  std::string requests_;
  chain_hash hash_;
  prepared_statement last_commit_;
  prepared_statement insert_commit_;
  prepared_statement oldest_key_;
  prepared_statement forget_keys_;
};

} // namespace sluice::sqlite
