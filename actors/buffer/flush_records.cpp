#include "actors/buffer/flush_records.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

namespace sluice {

std::vector<audit_record> records_of(const flush_outcome& outcome, std::string_view status, int64_t ts_us) {
  std::map<std::tuple<std::string, std::string, uint32_t, uint32_t>, uint64_t> counts;
  for (const auto& operation : outcome.completed)
    for (const auto& from : operation.from)
      counts[{operation.put.row.table, from.agent, from.peer.uid, from.peer.pid}] += from.count;
  std::vector<audit_record> result;
  for (const auto& [sender, count] : counts) {
    const auto& [table, agent, uid, pid] = sender;
    auto& record = result.emplace_back();
    record.ts_us = ts_us;
    record.agent = agent;
    record.db = outcome.db;
    record.type = request_type::buffered;
    record.status = status;
    record.commit_seq = outcome.commit_seq;
    record.tables = std::make_shared<const std::vector<std::string>>(std::vector{table});
    // The request that wrote them has a record of its own.
    record.correlation_id = outcome.key;
    record.peer = {uid, pid};
    record.count = static_cast<uint32_t>(count);
  }
  return result;
}

} // namespace sluice
