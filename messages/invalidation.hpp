#pragma once

#include "messages/inspection.hpp"

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice {

/// Names of the tables that a commit changed, shared between its listeners.
using table_set = std::shared_ptr<const std::vector<std::string>>;

/// Notifies of the tables that a commit changed. The version stamps have already invalidated the entries of the cache,
/// and this message removes them; listeners (`database::listen`) get one for every commit.
struct invalidation {
  std::string db;
  /// The number of the commit. Commits of the broker are numbered without gaps, so a listener that missed one sees the
  /// gap and finds the commit in the ledger.
  ///
  /// 0 when the message is not about one commit of the broker; `everything` is set then. The reasons: an external
  /// process committed or replaced the file (whose commits may then have other numbers), the outcome of a COMMIT was
  /// unknown or has been determined, a writer failed and may have committed without a notification, or the listener had
  /// 10,000 messages in its mailbox. In the last case this message stands for every commit until the listener has
  /// handled it.
  uint64_t commit_seq = 0;
  /// The tables whose rows changed, by triggers and cascades too; none for a commit that changed no row.
  std::vector<std::string> tables;
  /// Any table may have changed or been dropped: the schema changed, or see `commit_seq`.
  bool everything = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, invalidation& x) {
  return f(caf::meta::type_name("invalidation"), x.db, x.commit_seq, x.tables, x.everything);
}
SLUICE_DECLARE_INSPECT(invalidation)

} // namespace sluice
