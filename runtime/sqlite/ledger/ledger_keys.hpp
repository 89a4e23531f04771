#pragma once

#include "actors/base/clock.hpp"
#include "actors/writer/write_store.hpp"
#include "messages/automatic_key.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/boot_ranges.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"
#include "runtime/sqlite/ledger/recent_keys.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice::sqlite {

/// The idempotency keys of a ledger and their outcomes. A key of an application has a row of `_sluice_keys`. An
/// automatic key (`automatic_key`) of this boot of the machine is part of the commit record, unless its results are
/// long, so that a commit writes no page for it. It is searched for in the commits since it was generated: in memory
/// (`recent_keys`), and for older commits in the records.
class ledger_keys {
public:
  /// All arguments outlive this.
  ledger_keys(const connection& db, const clock& time) : db_(db), time_(time) {}

  /// Prepares the statements for an existing ledger. `boots` are those in it.
  caf::expected<void> prepare(boot_ranges boots);

  /// As in `write_store`; `next_seq` is the number of the open transaction's commit.
  caf::expected<std::optional<write_result>> recall(const write_request& request, uint64_t next_seq);

  /// Stores the outcome for the commit `next_seq`. `now_us` by the clock of the keys.
  caf::expected<void> remember(const write_request& request, const write_result& result, uint64_t next_seq,
                               int64_t now_us);

  /// The requests of the commit record for the transaction's entries (`encode_requests`).
  /// @param out is overwritten
  void encode(std::span<const ledger_entry> entries, std::string& out);

  /// Records the boot of the machine in which the commit `seq` is made; true when `boots` must be written.
  bool note_boot(uint64_t seq) { return boots_.note(boot_tag_, seq); }

  const boot_ranges& boots() const noexcept { return boots_; }

  /// The commits made in this boot of the machine, before `next_seq`.
  std::vector<boot_ranges::range> commits_of_this_boot(uint64_t next_seq) const {
    return boots_.find(boot_tag_, next_seq);
  }

  /// The transaction whose requests `encode` returned was committed as `seq`.
  void committed(uint64_t seq);

  /// The transaction was lost, or another program may have changed the ledger.
  void lost() noexcept;

private:
  struct hasher {
    size_t operator()(const automatic_key& key) const noexcept { return recent_keys::hash_of(key); }
  };

  struct pending_outcome {
    recorded_key record;
    std::string request_id;
  };

  struct kept_outcome {
    uint64_t seq = 0;
    found_key content;
  };

  bool is_recordable(const automatic_key& key) const noexcept { return boot_tag_ != 0 && key.boot == boot_tag_; }
  uint64_t since_boot_ms() const;
  caf::expected<std::optional<write_result>> find_row(const write_request& request);
  caf::expected<std::optional<write_result>> recall_recorded(const write_request& request, const automatic_key& key,
                                                             uint64_t next_seq);
  caf::expected<std::optional<kept_outcome>> find_in_memory(const automatic_key& key, recent_keys::answer& recent);
  caf::expected<std::optional<kept_outcome>> scan(const automatic_key& key, boot_ranges::range commits);
  caf::expected<std::optional<write_result>> answer(const write_request& request, kept_outcome found);
  short_digest digest_of(const write_request& request);

  const connection& db_;
  const clock& time_;
  uint32_t boot_tag_ = 0;
  boot_ranges boots_;
  recent_keys recent_;
  // The outcomes of the open transaction.
  std::unordered_map<automatic_key, pending_outcome, hasher> pending_;
  uint64_t encoded_at_ms_ = 0;
  std::vector<const recorded_key*> entry_keys_;
  chain_hash hash_;
  prepared_statement find_key_;
  prepared_statement insert_key_;
  prepared_statement find_record_;
  prepared_statement scan_records_;
};

} // namespace sluice::sqlite
