#pragma once

#include "messages/audit.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/chain_anchor.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace sluice::sqlite {

/// The verdict on the chain of a ledger.
struct chain_verdict {
  /// Records of earlier epochs that were broken when `epoch` began are not counted.
  audit_verdict verdict;
  /// The number of broken records of earlier epochs, including known ones.
  uint64_t broken_before_epoch = 0;
};

/// Recomputes the hashes of commit records, one after another from the oldest on.
class ledger_chain_check {
public:
  /// `epoch` outlives this. `anchor` is the ledger's, if it has one.
  ledger_chain_check(const ledger_epoch& epoch, const std::optional<chain_anchor>& anchor);

  /// Checks the next row of `commit_columns`.
  void next(const prepared_statement& row);

  /// The record `seq` was changed or damaged.
  void broken(uint64_t seq, const std::string& reason);

  /// Adds another problem, as a sentence.
  void note(std::string problem) { verdict_.problems.push_back(std::move(problem)); }

  uint64_t broken_in_epoch() const noexcept { return verdict_.broken; }
  uint64_t broken_before_epoch() const noexcept { return old_.broken; }

  /// The hash of the newest record.
  const std::string& last_hash() const noexcept { return last_hash_; }

  chain_verdict finish();

private:
  const ledger_epoch& epoch_;
  chain_hash hash_;
  audit_verdict verdict_;
  // The verdict on the records of earlier epochs.
  audit_verdict old_;
  uint64_t last_seq_ = 0;
  std::string last_hash_;
};

} // namespace sluice::sqlite
