#pragma once

#include "actors/audit/audit_store.hpp"
#include "tests/support/page_of.hpp"

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::test {

/// The file under a `fake_audit_store`, and its faults. Outlives the store.
struct fake_audit_file {
  std::vector<audit_record> records;
  /// The next result of `compare`, used once.
  std::map<std::string, std::vector<audit_record>> missing;
  std::map<std::string, ledger_standing> standings;
  std::vector<std::string> attached;
  std::vector<prune_bounds> prunings;
  uint64_t prunes_at_once = 1'000'000;
  bool prune_refuses = false;
  uint64_t appended = 0;
  bool refuses = false;
  bool throws = false;
  bool attach_throws = false;
  uint64_t appends = 0;
  uint64_t open_stores = 0;
};

class fake_audit_store : public audit_store {
public:
  explicit fake_audit_store(fake_audit_file& file) : file_(file) { ++file_.open_stores; }
  ~fake_audit_store() override { --file_.open_stores; }

  caf::expected<void> append(std::span<audit_record> records) override {
    if (file_.throws)
      throw std::runtime_error("append threw");
    if (file_.refuses)
      return make_error(errc::disk_full, "no space for records");
    ++file_.appends;
    for (auto& record : records) {
      record.seq = ++file_.appended;
      file_.records.push_back(record);
    }
    return caf::unit;
  }

  caf::expected<audit_page> list(const audit_query& query) override {
    auto matches = [&](const audit_record& record) {
      return (query.agent.empty() || record.agent == query.agent) && (query.db.empty() || record.db == query.db)
             && (query.status.empty() || record.status == query.status) && record.ts_us >= query.since_us
             && record.seq > query.after_seq;
    };
    return audit_page{"root", page_of(file_.records, query.limit, query.newest, matches)};
  }

  caf::expected<audit_verdict> verify() override {
    audit_verdict result;
    result.records = file_.records.size();
    result.head = "hash of record " + std::to_string(result.records);
    return result;
  }

  caf::expected<uint64_t> agree(const std::string&, uint64_t until) override { return until; }

  // Each record is a segment of its own.
  caf::expected<audit_pruned> prune(const prune_bounds& bounds, int64_t) override {
    file_.prunings.push_back(bounds);
    if (file_.prune_refuses)
      return make_error(errc::not_authorized, "the key may be read by others");
    audit_pruned result;
    while (file_.records.size() > 1 && file_.records.front().ts_us < bounds.before_us
           && result.records < file_.prunes_at_once) {
      file_.records.erase(file_.records.begin());
      ++result.records;
    }
    if (!file_.records.empty()) {
      result.first_seq = file_.records.front().seq;
      result.has_more = file_.records.size() > 1 && file_.records.front().ts_us < bounds.before_us;
    }
    return result;
  }

  caf::expected<ledger_comparison> compare(const std::string& db) override {
    if (file_.attach_throws)
      throw std::runtime_error("compare threw");
    file_.attached.push_back(db);
    return ledger_comparison{std::exchange(file_.missing[db], {}), file_.standings[db]};
  }

private:
  fake_audit_file& file_;
};

} // namespace sluice::test
