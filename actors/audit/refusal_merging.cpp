#include "actors/audit/refusal_merging.hpp"

#include <utility>

namespace sluice {

refusal_merging::kind refusal_merging::kind_of(const audit_record& x) {
  return {x.agent, x.db, x.type, x.status, x.peer.uid, x.peer.pid};
}

void refusal_merging::add(audit_record x, std::vector<audit_record>& pending) {
  if (auto second = x.ts_us / 1'000'000; std::exchange(second_, second) != second)
    in_second_ = 0;
  if (in_second_++ < exact_)
    return pending.push_back(std::move(x));
  // Fields of single requests would be those of the first of them only.
  x.request_id.clear();
  x.correlation_id.clear();
  auto found = merged_.find(kind_of(x));
  if (found == merged_.end() && merged_.size() >= kinds_) {
    x.agent.clear();
    x.db.clear();
    found = merged_.find(kind_of(x));
  }
  if (found != merged_.end()) {
    pending[found->second].count += x.count;
    return;
  }
  merged_.emplace(kind_of(x), pending.size());
  pending.push_back(std::move(x));
}

} // namespace sluice
