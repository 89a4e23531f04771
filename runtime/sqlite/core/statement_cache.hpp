#pragma once

#include "messages/statement.hpp"
#include "runtime/sqlite/core/statement_analysis.hpp"

#include <caf/expected.hpp>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice::sqlite {

/// A statement of requests, kept ready.
struct cached_statement {
  sql_text sql;
  prepared_statement stmt;
  statement_facts facts;
  /// Never null.
  std::shared_ptr<const rowset::column_names> columns;
  /// By index from 0, without prefix; empty for a parameter that has no name.
  std::vector<std::string> parameters;
  /// It once failed in a way that SQLite does not undo by itself, so it is better run inside a savepoint.
  bool needs_savepoint = false;
  /// Memory that it takes.
  uint64_t bytes = 0;
  /// For writers: how often it was used, and whether its form bounds its work, once that has been looked at.
  uint32_t uses = 0;
  std::optional<bool> is_bounded;
  /// For readers: the schema version that `facts` are of, and how often SQLite had prepared it anew since.
  int64_t schema_version = 0;
  int prepared_anew = 0;
};

/// The statements that were prepared last, least recently used ones dropped. They are bounded in number and in memory:
/// a request may be of megabytes, and what one agent has prepared is not to take the memory of all. Used by the
/// connection's thread.
class statement_cache {
public:
  static constexpr uint64_t max_bytes = 4ULL << 20;
  /// A larger statement is dropped as soon as it has been used.
  static constexpr uint64_t max_kept_bytes = 1ULL << 20;

  /// `analyzer` outlives this.
  explicit statement_cache(statement_analyzer& analyzer, size_t capacity = 256)
    : analyzer_(analyzer), capacity_(capacity) {}

  /// The statement if it is there, else null. Valid as long as what `find_or_prepare` returns.
  cached_statement* find(const sql_text& sql) noexcept;

  /// The statement, prepared now if need be. It stays valid until the next call that is not `size`.
  caf::expected<cached_statement*> find_or_prepare(const sql_text& sql);

  /// The statement that was used last has done its work.
  void drop_if_large() noexcept;

  /// Forgets one statement, or all of them: because the schema they were analysed under is no longer.
  void erase(const sql_text& sql);
  void clear() noexcept;

  size_t size() const noexcept { return by_sql_.size(); }
  uint64_t bytes() const noexcept { return bytes_; }

private:
  struct hash {
    size_t operator()(const sql_text& sql) const noexcept { return sql.hash(); }
  };
  using order = std::list<cached_statement>;

  void drop(order::iterator entry) noexcept;

  statement_analyzer& analyzer_;
  size_t capacity_;
  uint64_t bytes_ = 0;
  // Most recently used first.
  order statements_;
  std::unordered_map<sql_text, order::iterator, hash> by_sql_;
};

} // namespace sluice::sqlite
