#pragma once

#include "messages/audit.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace sluice {

/// Bounds how many records refused requests make. The first `exact` of each second are kept unchanged. Those beyond are
/// counted: one record, with a `count`, for each agent, database, type, error and peer among the records that are not
/// written yet; beyond `kinds` of these, agents and databases are not distinguished any more. So each request is
/// accounted for, and the last bound is that of types, errors and peers. Not synchronized.
class refusal_merging {
public:
  explicit refusal_merging(uint64_t exact = 1'000, size_t kinds = 64) : exact_(exact), kinds_(kinds) {}

  /// Appends `record` to `pending`, or counts it in a record that is there already.
  void add(audit_record record, std::vector<audit_record>& pending);

  /// `pending` was written, or has lost records.
  void forget() { merged_.clear(); }

private:
  using kind = std::tuple<std::string, std::string, request_type, std::string, uint32_t, uint32_t>;

  static kind kind_of(const audit_record& record);

  uint64_t exact_;
  size_t kinds_;
  int64_t second_ = 0;
  uint64_t in_second_ = 0;
  // Places in `pending`.
  std::map<kind, size_t> merged_;
};

} // namespace sluice
