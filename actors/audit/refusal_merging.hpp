#pragma once

#include "messages/audit.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace sluice {

/// Bounds the number of records that refused requests cause. Keeps the first `exact` of each second unchanged. Counts
/// the others: one record with a `count` for each agent, database, type, error and peer among the unwritten records;
/// beyond `kinds` of these, it no longer distinguishes agents and databases. Every request is thus accounted for, and
/// the number of records is bounded by those of types, errors and peers. Not synchronized.
class refusal_merging {
public:
  explicit refusal_merging(uint64_t exact = 1'000, size_t kinds = 64) : exact_(exact), kinds_(kinds) {}

  /// Appends `record` to `pending`, or adds it to the `count` of an unwritten record.
  void add(audit_record record, std::vector<audit_record>& pending);

  /// Called when `pending` was written, or has lost records.
  void forget() { merged_.clear(); }

private:
  using kind = std::tuple<std::string, std::string, request_type, std::string, uint32_t, uint32_t>;

  static kind kind_of(const audit_record& record);

  uint64_t exact_;
  size_t kinds_;
  int64_t second_ = 0;
  uint64_t in_second_ = 0;
  // Indexes in `pending`.
  std::map<kind, size_t> merged_;
};

} // namespace sluice
