#include "runtime/sqlite/reader/query_plan.hpp"

#include "runtime/sqlite/core/allocation_bound.hpp"
#include "runtime/sqlite/core/leading_keyword.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <chrono>
#include <map>

namespace sluice::sqlite {

namespace {

// Bytes after which a plan is cut; people do not read longer ones.
constexpr size_t max_plan = 4'000;

// Preparing a query may take seconds, and other requests wait for this connection.
struct plan_deadline {
  std::chrono::steady_clock::time_point end = std::chrono::steady_clock::now() + std::chrono::milliseconds{100};

  bool is_over() const { return std::chrono::steady_clock::now() >= end; }
};

caf::expected<void> append_plan(const connection& db, const statement& query, std::string& to) {
  auto stmt = prepared_statement::prepare(db, "EXPLAIN QUERY PLAN " + query.sql.str());
  if (!stmt)
    return std::move(stmt.error());
  std::map<int64_t, size_t> depths;
  while (to.size() < max_plan) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      break;
    auto parent = depths.find(stmt->integer(1));
    auto depth = parent == depths.end() ? 0 : parent->second + 1;
    depths[stmt->integer(0)] = depth;
    to += to.empty() ? "" : "\n";
    to.append(2 * depth, ' ');
    to += stmt->text(3);
  }
  return caf::unit;
}

} // namespace

caf::expected<std::string> query_plan(const connection& db, std::span<const statement> statements) {
  std::string result;
  plan_deadline time;
  auto bound = allocation_bound::by<plan_deadline, &plan_deadline::is_over>(time);
  for (const auto& query : statements)
    // A PRAGMA has no plan, and acts when it is prepared.
    if (leading_keyword(query.sql.str()) == "PRAGMA")
      continue;
    else if (auto done = append_plan(db, query, result); !done)
      return std::move(done.error());
  return result;
}

} // namespace sluice::sqlite
