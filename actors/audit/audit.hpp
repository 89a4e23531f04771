#pragma once

#include "actors/audit/audit_store.hpp"
#include "actors/audit/refusal_merging.hpp"
#include "actors/base/clock.hpp"
#include "actors/shared/actor_stats.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace sluice {

/// Opens the audit file; called again after a failure.
using audit_store_opener = std::function<caf::expected<std::unique_ptr<audit_store>>()>;

struct audit_state {
  explicit audit_state(audit_actor::pointer me) : self(me) {}
  ~audit_state();

  void take(audit_batch& batch);
  /// Appends what has been taken; keeps it for another time if the file refuses it.
  caf::expected<void> write();
  caf::expected<attach_report> attach(const std::string& db);
  caf::expected<audit_page> list(const audit_query& query);
  caf::expected<audit_verdict> verify();
  void schedule(std::chrono::milliseconds delay);

  audit_actor::pointer self;
  audit_store_opener open;
  std::shared_ptr<actor_stats> stats;
  std::unique_ptr<audit_store> store;
  std::vector<audit_record> pending;
  refusal_merging merging;
  // What each ledger had and the audit had not when it was last read.
  std::set<std::tuple<std::string, uint64_t, std::string>> recovered;
  bool scheduled = false;
  // The file refused the last records.
  bool failing = false;
  // Stands for records that had to be dropped meanwhile; written as a record of its own.
  audit_record lost = [] {
    audit_record x;
    x.count = 0;
    return x;
  }();
  static inline const char* name = "audit";

private:
  void drop_recovered(audit_batch& batch);
  caf::expected<void> ensure_open();
  caf::expected<void> append();
  void drop_oldest();
  void publish(const caf::expected<void>& outcome);
};

/// The behavior of the audit actor, which counts on in `stats`. Spawn it detached: it blocks in SQLite.
audit_actor::behavior_type audit(audit_actor::stateful_pointer<audit_state> self, audit_store_opener open,
                                 std::shared_ptr<actor_stats> stats);

} // namespace sluice
