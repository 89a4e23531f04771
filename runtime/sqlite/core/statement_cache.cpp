#include "runtime/sqlite/core/statement_cache.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <iterator>

namespace sluice::sqlite {

namespace {

// "?5" denotes a position, not a name.
std::vector<std::string> parameter_names(sqlite3_stmt* stmt) {
  std::vector<std::string> result(static_cast<size_t>(sqlite3_bind_parameter_count(stmt)));
  for (size_t i = 0; i < result.size(); ++i)
    if (const auto* name = sqlite3_bind_parameter_name(stmt, static_cast<int>(i) + 1); name && *name != '?')
      result[i] = name + 1;
  return result;
}

// A column without an alias is named by the expression as the request spells it.
rowset::column_names column_names(const prepared_statement& stmt, const std::string& sql, bool has_backticks) {
  auto result = stmt.column_names();
  if (has_backticks && sql.find('`') == std::string::npos)
    for (auto& name : result)
      std::replace(name.begin(), name.end(), '`', '"');
  return result;
}

} // namespace

cached_statement* statement_cache::find(const sql_text& sql) noexcept {
  auto found = by_sql_.find(sql);
  if (found == by_sql_.end())
    return nullptr;
  if (found->second != statements_.begin())
    statements_.splice(statements_.begin(), statements_, found->second);
  return &*found->second;
}

caf::expected<cached_statement*> statement_cache::find_or_prepare(const sql_text& sql) {
  if (auto* found = find(sql))
    return found;
  drop_if_large();
  auto made = analyzer_.prepare(sql.str());
  if (!made && code_of(made.error()) == errc::unavailable && !statements_.empty()) {
    // Memory is lacking, and the cache holds some.
    clear();
    made = analyzer_.prepare(sql.str());
  }
  if (!made)
    return std::move(made.error());
  auto& added = statements_.emplace_front();
  added.sql = sql;
  added.stmt = std::move(made->stmt);
  added.facts = std::move(made->facts);
  added.columns =
    std::make_shared<const rowset::column_names>(column_names(added.stmt, sql.str(), made->has_backticks));
  added.parameters = parameter_names(added.stmt.handle());
  added.bytes =
    sql.str().size()
    + static_cast<uint64_t>(std::max(0, sqlite3_stmt_status(added.stmt.handle(), SQLITE_STMTSTATUS_MEMUSED, 0)));
  bytes_ += added.bytes;
  by_sql_.emplace(sql, statements_.begin());
  // A large statement does not evict others, because it is dropped soon.
  auto passing = added.bytes > max_kept_bytes ? added.bytes : 0;
  while (statements_.size() > 1 && (statements_.size() > capacity_ || bytes_ - passing > max_bytes))
    drop(std::prev(statements_.end()));
  return &added;
}

void statement_cache::drop(order::iterator entry) noexcept {
  bytes_ -= entry->bytes;
  by_sql_.erase(entry->sql);
  statements_.erase(entry);
}

void statement_cache::drop_if_large() noexcept {
  if (!statements_.empty() && statements_.front().bytes > max_kept_bytes)
    drop(statements_.begin());
}

void statement_cache::erase(const sql_text& sql) {
  if (auto found = by_sql_.find(sql); found != by_sql_.end())
    drop(found->second);
}

void statement_cache::clear() noexcept {
  by_sql_.clear();
  statements_.clear();
  bytes_ = 0;
}

} // namespace sluice::sqlite
