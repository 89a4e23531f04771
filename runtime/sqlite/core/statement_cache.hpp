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

/// A prepared statement with its analysis.
struct cached_statement {
  sql_text sql;
  prepared_statement stmt;
  statement_facts facts;
  /// Never null.
  std::shared_ptr<const rowset::column_names> columns;
  /// By index from 0, without prefix; empty for a parameter that has no name.
  std::vector<std::string> parameters;
  /// It has failed once in a way that SQLite does not undo by itself, so it runs in a savepoint from now on.
  bool needs_savepoint = false;
  /// The memory that it uses.
  uint64_t bytes = 0;
  /// For writers: the number of uses, and whether the form of the statement bounds its work; empty until examined.
  uint32_t uses = 0;
  std::optional<bool> is_bounded;
  /// For readers: the schema version of `facts`, and SQLite's re-prepare count at that time.
  int64_t schema_version = 0;
  int reprepares = 0;
};

/// An LRU cache of prepared statements, bounded in number and in memory: a request may be of megabytes, and one agent
/// must not use the memory of all. Used by the connection's thread.
class statement_cache {
public:
  static constexpr uint64_t max_bytes = 4ULL << 20;
  /// A larger statement is dropped after its use.
  static constexpr uint64_t max_kept_bytes = 1ULL << 20;

  /// `analyzer` outlives this.
  explicit statement_cache(statement_analyzer& analyzer, size_t capacity = 256)
    : analyzer_(analyzer), capacity_(capacity) {}

  /// The statement if it is cached, else null. Valid as long as the result of `find_or_prepare`.
  cached_statement* find(const sql_text& sql) noexcept;

  /// The statement, prepared now if it is not cached. Valid until the next call of any function but `size`.
  caf::expected<cached_statement*> find_or_prepare(const sql_text& sql);

  /// Drops the most recently used statement if it is larger than `max_kept_bytes`. Call it when that statement has
  /// finished.
  void drop_if_large() noexcept;

  /// Forgets one statement, or all of them, after a schema change.
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
