#include "runtime/sqlite/ledger/chain_check.hpp"

#include "runtime/sqlite/ledger/ledger_codec.hpp"

#include <utility>

namespace sluice::sqlite {

ledger_chain_check::ledger_chain_check(const ledger_epoch& epoch, const std::optional<chain_anchor>& anchor)
  : epoch_(epoch), last_hash_(sizeof(digest), '\0') {
  if (!anchor)
    return;
  last_seq_ = static_cast<uint64_t>(anchor->seq);
  last_hash_ = anchor->hash;
  verdict_.pruned = static_cast<uint64_t>(anchor->records);
}

void ledger_chain_check::next(const prepared_statement& row) {
  auto seq = static_cast<uint64_t>(row.integer(0));
  auto expected_hash = commit_hash(hash_, row.blob(2), seq, row.integer(1), row.blob(4));
  ++verdict_.records;
  if (seq != last_seq_ + 1 && seq != epoch_.first)
    broken(seq, "records before it are missing");
  else if (row.blob(3) != bytes_of(expected_hash))
    broken(seq, "the record does not match its hash");
  else if (row.blob(2) != last_hash_ && seq != epoch_.first)
    broken(seq, "the record does not follow from the one before it");
  last_seq_ = seq;
  last_hash_ = row.blob(3);
}

void ledger_chain_check::broken(uint64_t seq, const std::string& reason) {
  auto& to = seq < epoch_.first ? old_ : verdict_;
  if (to.broken++ > 0)
    return;
  to.first_broken = seq;
  to.reason = reason;
}

chain_verdict ledger_chain_check::finish() {
  if (verdict_.records > 0)
    verdict_.head = to_hex(last_hash_);
  // Repaired damage is counted again only if more records are broken now.
  if (old_.broken > epoch_.broken_before) {
    verdict_.broken += old_.broken;
    verdict_.first_broken = old_.first_broken;
    verdict_.reason = old_.reason;
  }
  return {std::move(verdict_), old_.broken};
}

} // namespace sluice::sqlite
