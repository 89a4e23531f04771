#include "actors/cache/known_statements.hpp"

#include <algorithm>
#include <bit>

namespace sluice {

namespace {

constexpr size_t max_known = 4'096;
constexpr size_t max_kept_sql = 16ULL << 10;

bool same(const read_set& a, const read_set& b) { return a.deterministic == b.deterministic && a.tables == b.tables; }

} // namespace

const known_statements::info* known_statements::find(const database_context& context, const sql_text& sql) const {
  auto i = infos_.find(statement_hash(context, sql));
  return i != infos_.end() && i->second.context == &context && i->second.sql == sql ? &i->second : nullptr;
}

const known_statements::info& known_statements::learn(database_context& context, const sql_text& sql,
                                                      const executed_read& run) {
  if (infos_.size() > max_known)
    infos_.clear();
  auto& known = sql.str().size() > max_kept_sql ? unkept_ : infos_[statement_hash(context, sql)];
  if (known.context != &context || known.sql != sql)
    known = {&context, sql, nullptr, {}, 0};
  known.busy_us = std::max(run.busy_us, known.busy_us - known.busy_us / 8);
  // Each reader prepares a statement itself, so equal sets are different objects.
  if (known.reads && (known.reads == run.reads || same(*known.reads, *run.reads)))
    return known;
  known.reads = run.reads;
  known.tables.clear();
  for (const auto& table : known.reads->tables)
    known.tables.push_back(&context.versions().changed_at(table));
  return known;
}

query_length known_statements::length(const database_context& context, const sql_text& sql) const {
  constexpr uint32_t tiny_us = 100;
  auto* known = find(context, sql);
  if (!known)
    return query_length::unknown;
  if (known->busy_us < tiny_us)
    return query_length::tiny;
  return known->busy_us < std::chrono::microseconds{brief_time}.count() ? query_length::brief : query_length::lengthy;
}

size_t statement_hash(const database_context& context, const sql_text& sql) noexcept {
  return sql.hash() ^ std::bit_cast<size_t>(&context);
}

} // namespace sluice
