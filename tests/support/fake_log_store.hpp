#pragma once

#include "actors/log/log_store.hpp"
#include "tests/support/page_of.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::test {

/// The file under a `fake_log_store`, and its faults. Outlives the store.
struct fake_log_file {
  std::vector<log_entry> entries;
  uint64_t last_id = 0;
  /// The sizes of the transactions.
  std::vector<size_t> appends;
  std::vector<int64_t> pruned_before;
  /// The number of transactions at each listing of the entries.
  std::vector<size_t> listed_at;
  /// Called after each transaction.
  std::function<void()> on_append = [] {};
  /// The error of every call; empty while the file works.
  std::optional<errc> fault;
  bool throws = false;
  uint64_t open_stores = 0;

  std::vector<std::string> messages() const {
    std::vector<std::string> result;
    for (const auto& entry : entries)
      result.push_back(entry.message);
    return result;
  }
};

class fake_log_store : public log_store {
public:
  explicit fake_log_store(fake_log_file& file) : file_(file) { ++file_.open_stores; }
  ~fake_log_store() override { --file_.open_stores; }

  caf::expected<void> append(std::span<const log_entry> entries) override {
    if (auto error = fails())
      return *error;
    file_.appends.push_back(entries.size());
    for (auto entry : entries) {
      entry.id = ++file_.last_id;
      file_.entries.push_back(std::move(entry));
    }
    file_.on_append();
    return caf::unit;
  }

  caf::expected<log_page> list(const log_query& query) override {
    if (auto error = fails())
      return *error;
    file_.listed_at.push_back(file_.appends.size());
    auto matches = [&](const log_entry& entry) {
      return entry.level >= query.least && (query.source.empty() || entry.source == query.source)
             && (query.agent.empty() || entry.agent == query.agent)
             && entry.message.find(query.contains) != std::string::npos
             && (query.since_us == 0 || entry.ts_us >= query.since_us) && entry.id > query.after_id;
    };
    return log_page{page_of(file_.entries, query.limit, query.newest, matches)};
  }

  caf::expected<uint64_t> prune(int64_t before_us) override {
    if (auto error = fails())
      return *error;
    file_.pruned_before.push_back(before_us);
    return std::erase_if(file_.entries, [&](const log_entry& x) { return x.ts_us < before_us; });
  }

private:
  std::optional<caf::error> fails() const {
    if (file_.throws)
      throw std::runtime_error("the store threw");
    if (file_.fault)
      return make_error(*file_.fault, "the log file is damaged");
    return std::nullopt;
  }

  fake_log_file& file_;
};

} // namespace sluice::test
