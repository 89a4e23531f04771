#pragma once

#include "messages/inspection.hpp"

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <string>

namespace sluice {

/// The expected state of a database's ledger, known from outside its file: from the audit and from the commits of this
/// process.
struct ledger_standing {
  /// The highest commit number that was ever issued for this name; 0 when none is known.
  uint64_t issued = 0;
  /// A commit whose hash is known; 0 and empty when there is none.
  uint64_t agreed_seq = 0;
  std::string agreed_hash;
  /// The id of the ledger's epoch; empty when it is not known.
  std::string epoch;
  /// How the ledger contradicts the audit, for people; empty when it does not.
  std::string conflict;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, ledger_standing& x) {
  return f(caf::meta::type_name("ledger_standing"), x.issued, x.agreed_seq, x.agreed_hash, x.epoch, x.conflict);
}
SLUICE_DECLARE_INSPECT(ledger_standing)

/// The result of comparing a database's ledger with the audit.
struct attach_report {
  /// Records that the ledger had and the audit lacked.
  uint64_t recovered = 0;
  ledger_standing ledger;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, attach_report& x) {
  return f(caf::meta::type_name("attach_report"), x.recovered, x.ledger);
}
SLUICE_DECLARE_INSPECT(attach_report)

} // namespace sluice
