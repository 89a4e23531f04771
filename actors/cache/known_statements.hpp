#pragma once

#include "actors/cache/reader_pool.hpp"
#include "actors/shared/result_cache.hpp"
#include "messages/read.hpp"

#include <chrono>
#include <memory>
#include <unordered_map>

namespace sluice {

/// The results of earlier runs of a statement: the tables that it reads, and its length. Not synchronized.
class known_statements {
public:
  struct info {
    const database_context* context = nullptr;
    sql_text sql;
    std::shared_ptr<const read_set> reads;
    dependencies tables;
    /// The time of a run: the last one's, or slowly sinking from a longer one's.
    uint32_t busy_us = 0;
  };

  /// The known properties of the statement; null when there are none.
  const info* find(const database_context& context, const sql_text& sql) const;

  /// Takes in what a run has shown. Of a statement of more than 16 KiB, it is there until the next call only.
  const info& learn(database_context& context, const sql_text& sql, const executed_read& run);

  /// How long it is expected to take.
  query_length length(const database_context& context, const sql_text& sql) const;

  void clear() { infos_.clear(); }

private:
  // By a hash of context and statement; both are compared in full.
  std::unordered_map<size_t, info> infos_;
  // The last one that was too long to be kept.
  info unkept_;
};

/// How long a query may run on a reader that is kept for brief ones.
constexpr std::chrono::milliseconds brief_time{250};

/// The hash by which reads of the same statement on the same database find each other.
size_t statement_hash(const database_context& context, const sql_text& sql) noexcept;

} // namespace sluice
