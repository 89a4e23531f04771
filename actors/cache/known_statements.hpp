#pragma once

#include "actors/cache/reader_pool.hpp"
#include "actors/shared/result_cache.hpp"
#include "messages/read.hpp"

#include <chrono>
#include <memory>
#include <unordered_map>

namespace sluice {

/// The results of earlier runs of statements: the tables that each reads, and its duration. Not synchronized.
class known_statements {
public:
  struct info {
    const database_context* context = nullptr;
    sql_text sql;
    std::shared_ptr<const read_set> reads;
    dependencies tables;
    /// The duration of a run: of the last one, or decreasing slowly from a longer one.
    uint32_t busy_us = 0;
  };

  /// The known properties of the statement; null when there are none.
  const info* find(const database_context& context, const sql_text& sql) const;

  /// Adds the result of a run. For a statement of more than 16 KiB, it is valid until the next call only.
  const info& learn(database_context& context, const sql_text& sql, const executed_read& run);

  /// The expected duration.
  query_length length(const database_context& context, const sql_text& sql) const;

  void clear() { infos_.clear(); }

private:
  // By a hash of context and statement; lookups compare both in full.
  std::unordered_map<size_t, info> infos_;
  // The last statement that was too long to be kept.
  info unkept_;
};

/// The time limit of a query on the reader that is reserved for brief ones.
constexpr std::chrono::milliseconds brief_time{250};

/// The hash under which reads of the same statement on the same database are stored.
size_t statement_hash(const database_context& context, const sql_text& sql) noexcept;

} // namespace sluice
