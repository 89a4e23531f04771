#pragma once

#include "actors/base/clock.hpp"
#include "messages/ledger.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/ledger/boot_ranges.hpp"
#include "runtime/sqlite/ledger/chain_anchor.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::sqlite {

/// Larger numbers of commits and keys cannot have been issued.
constexpr int64_t last_plausible_number = int64_t{1} << 62;

/// A part of a ledger's commits with ascending numbers: the row `epoch` of `_sluice_meta`. A ledger without that row is
/// in its first epoch, number 0, which has no id.
struct ledger_epoch {
  uint64_t number = 0;
  std::string id;
  /// The number of its first commit, higher than any that was issued before.
  uint64_t first = 1;
  /// The number of commit records of earlier epochs that were broken when it began.
  uint64_t broken_before = 0;
};

/// The time by which the keys age, in the row `key_clock` of `_sluice_meta`. It begins at the wall clock's time and
/// then increases only by time that has certainly passed.
struct key_time {
  int64_t begun_us = 0;
  /// Keys with ids up to this one are dated by the wall clock; their age counts from `begun_us`.
  int64_t last_undated_id = 0;
  int64_t seen_us = 0;
  /// The boot of the machine, and the time since then, at which the clock was `seen_us`.
  std::string boot;
  int64_t since_boot_us = 0;
  /// Keys of commits up to this one may have been removed.
  uint64_t pruned_seq = 0;
};

struct ledger_state {
  int64_t format = 0;
  uint64_t head_seq = 0;
  std::string head_hash;
  ledger_epoch epoch;
  /// Nothing when the ledger has no such row yet.
  std::optional<key_time> keys;
  boot_ranges boots;
  /// The beginning of its commits after the oldest were removed.
  std::optional<chain_anchor> anchor{};
  /// The newest row of a key; 0 when there is none.
  int64_t newest_key_id = 0;
  int64_t newest_key_us = 0;
};

/// Reads the state of an existing ledger (`has_ledger`), and checks whether its numbers are plausible, its newest
/// commits follow from each other, and their keys exist. `errc::ledger_damaged` when not.
caf::expected<ledger_state> read_ledger_state(const connection& db);

/// The columns of a commit record, for `FROM _sluice_commits c`: number, time, hash of the record before it, its own
/// hash, requests. In format 2 most records omit the hash of the one before; it is read from there.
inline constexpr std::string_view commit_columns =
  "c.commit_seq, c.ts_us, iif(length(c.prev_hash) > 0, c.prev_hash, (SELECT p.hash FROM _sluice_commits p "
  "WHERE p.commit_seq < c.commit_seq ORDER BY p.commit_seq DESC LIMIT 1)), c.hash, c.requests";

/// Checks that the rows of the idempotency keys of a commit with the column `requests` exist. `ledger_damaged` when
/// not.
caf::expected<void> check_keys(const connection& db, uint64_t seq, std::string_view requests);

/// Reads only the row of the keys' clock. Errors as above.
caf::expected<std::optional<key_time>> read_key_time(const connection& db);

/// Reads only the epoch. Errors as above.
caf::expected<ledger_epoch> read_epoch(const connection& db);

/// Whether the record of the commit `seq` exists and does not follow from the one before it, as the first one of an
/// epoch that was begun because commits had been lost.
caf::expected<bool> is_break(const connection& db, uint64_t seq);

/// These store the rows, in the open transaction.
caf::expected<void> write_epoch(const connection& db, const ledger_epoch& epoch);
caf::expected<void> write_boots(const connection& db, const boot_ranges& boots);
/// Stores `ledger_format` as the format of the ledger.
caf::expected<void> write_format(const connection& db);
caf::expected<void> write_key_time(const connection& db, const key_time& time);

/// A unique id for an epoch that begins now with the commit `first`, after the record with `head_hash`.
std::string new_epoch_id(const clock& time, uint64_t first, std::string_view head_hash);

/// The hash of the commit record `seq`; nothing when there is none.
caf::expected<std::optional<std::string>> find_commit(const connection& db, uint64_t seq);

/// The hash of the commit `seq` if the retention removed its record: that of the anchor, or for earlier ones, of which
/// no trace remains, the hash that is `known`. Nothing if it was not removed.
std::optional<std::string> removed_hash(const std::optional<chain_anchor>& anchor, uint64_t seq,
                                        const std::string& known);

/// The kinds of contradictions between a ledger and what is known of it.
enum class ledger_fault : uint8_t {
  none,
  /// It ends before the newest issued commit: it is an older copy, or records were removed.
  behind,
  /// It contains other commits than the known ones.
  other,
};

struct ledger_judgement {
  ledger_fault fault = ledger_fault::none;
  /// For people; empty without a fault.
  std::string reason;
};

/// Compares a ledger with what is known of it. `agreed` is its hash of the commit `known.agreed_seq`, if it has one.
ledger_judgement judge_ledger(const ledger_epoch& epoch, uint64_t head_seq, const std::optional<std::string>& agreed,
                              const ledger_standing& known);

/// Reads `agreed` and compares.
caf::expected<ledger_judgement> judge_ledger(const connection& db, const ledger_state& state,
                                             const ledger_standing& known);

} // namespace sluice::sqlite
