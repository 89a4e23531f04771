#include "actors/audit/refusal_merging.hpp"

#include <utility>

namespace sluice {

refusal_merging::kind refusal_merging::kind_of(const audit_record& record) {
  return {record.agent, record.db, record.type, record.status, record.peer.uid, record.peer.pid};
}

void refusal_merging::add(audit_record record, std::vector<audit_record>& pending) {
  if (auto second = record.ts_us / 1'000'000; std::exchange(second_, second) != second)
    in_second_ = 0;
  if (in_second_++ < exact_)
    return pending.push_back(std::move(record));
  // In a merged record, the fields of a single request would be those of the first request only.
  record.request_id.clear();
  record.correlation_id.clear();
  record.reason.clear();
  auto found = merged_.find(kind_of(record));
  if (found == merged_.end() && merged_.size() >= kinds_) {
    record.agent.clear();
    record.db.clear();
    found = merged_.find(kind_of(record));
  }
  if (found != merged_.end()) {
    pending[found->second].count += record.count;
    return;
  }
  merged_.emplace(kind_of(record), pending.size());
  pending.push_back(std::move(record));
}

} // namespace sluice
