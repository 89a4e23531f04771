#pragma once

#include "actors/reader/read_store.hpp"

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

namespace sluice::test {

/// The content of a test's database for every reader, and its faults. Outlives the stores.
struct fake_view {
  /// The tables that a statement reads; the default is one table named like the statement.
  std::function<read_set(const std::string&)> reads_of = [](const std::string& sql) { return read_set{{sql}, true}; };
  /// The single cell of a statement's answer.
  std::function<value(const std::string&)> cell_of = [](const std::string& sql) { return value{sql}; };
  /// The errors of failing statements.
  std::map<std::string, errc> errors;
  /// Whether the next read reports an external commit.
  bool external_commit = false;
  uint64_t runs = 0;
  bool throws = false;
  uint64_t open_stores = 0;
  uint64_t idle_closings = 0;
};

inline std::shared_ptr<const rowset> one_cell(value cell) {
  rowset rows{std::make_shared<const rowset::column_names>(rowset::column_names{"x"})};
  rows.append(std::move(cell));
  return std::make_shared<const rowset>(std::move(rows));
}

class fake_read_store : public read_store {
public:
  explicit fake_read_store(fake_view& view) : view_(view) { ++view_.open_stores; }
  ~fake_read_store() override { --view_.open_stores; }

  caf::expected<executed_read> run(const read_request& request, const read_limits&) override {
    ++view_.runs;
    if (view_.throws)
      throw std::runtime_error("a query threw");
    if (request.cancel.cancelled())
      return make_error(errc::cancelled, "the read was cancelled");
    const auto& sql = request.query.sql.str();
    if (auto error = view_.errors.find(sql); error != view_.errors.end())
      return make_error(error->second, "the query failed");
    executed_read result;
    for (const auto& next : request.more) {
      const auto& other = next.sql.str();
      if (auto error = view_.errors.find(other); error != view_.errors.end())
        return make_error(error->second, "the query failed");
      result.result.more.push_back({one_cell(view_.cell_of(other)), false});
    }
    result.result.rows = one_cell(view_.cell_of(sql));
    result.reads = std::make_shared<const read_set>(view_.reads_of(sql));
    result.external_commit = std::exchange(view_.external_commit, false);
    return result;
  }

  caf::expected<std::string> explain(const statement& query) override { return "PLAN OF " + query.sql.str(); }
  void close_idle() noexcept override { ++view_.idle_closings; }

private:
  fake_view& view_;
};

} // namespace sluice::test
