#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/database_context.hpp"
#include "messages/audit.hpp"
#include "messages/read.hpp"
#include "messages/status.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice {

struct result_cache_settings {
  bool enabled = true;
  std::chrono::milliseconds ttl{5'000};
  /// Bounds the entries' bytes; one entry may use an eighth of it.
  uint64_t max_bytes = 64ULL << 20;
};

/// The dependencies of an answer: the stamps of the tables that its statement read. Stamps live as long as their
/// database.
using dependencies = std::vector<const table_versions::stamp*>;

/// Whether an answer whose read began at `version` is still up to date.
bool still_valid(const dependencies& tables, const table_versions& versions, uint64_t version);

/// Answers kept for repeated reads, bounded in age and bytes, evicted in least recently used order. Callers look
/// answers up in their own thread; only the cache actor inserts and removes them. Thread-safe.
///
/// A hit requires that the version stamps of its tables are unchanged since the read began, so a hit is never stale,
/// however late the message that removes the entry.
class result_cache {
public:
  explicit result_cache(result_cache_settings settings) : settings_(settings) {}

  /// The kept answer to the same statement, parameters and limits, if it is still valid. Counts the hit for the agent.
  std::optional<read_result> find(const database_context& context, const read_request& request,
                                  const read_limits& limits, clock::steady now);

  /// Keeps an answer whose read began at `version`. Does nothing when it is no longer valid, too large, or caching is
  /// off.
  void insert(const database_context& context, const read_request& request, const read_limits& limits,
              const read_result& result, dependencies tables, uint64_t version, clock::steady now);

  /// Some entries may be stale: `sweep` compares each of those that are here now with the versions of its tables.
  void suspect_all();

  /// Removes entries that are too old, the oldest first, and of those that are suspected each that is not valid any
  /// more. Looks at `most` entries, and goes on where the last call ended. Returns how many were removed.
  size_t sweep(clock::steady now, size_t most);

  /// Whether entries are suspected that no sweep has looked at yet.
  bool has_suspects() const;

  /// Removes everything.
  void clear();

  /// Returns one record per agent and statement for the hits that no earlier call has returned; those of so many
  /// entries at most.
  std::vector<audit_record> take_hit_records(int64_t ts_us, size_t most = SIZE_MAX);

  bool enabled() const noexcept { return settings_.enabled; }

  bool empty() const;

  /// Fills in the counters of this table: entries, bytes, hits, invalidated, evicted.
  void describe(cache_status& status) const;

private:
  struct key {
    const database_context* context = nullptr;
    statement query;
    read_limits limits;
    size_t hash = 0;
  };

  // The key of a lookup, which refers to the request.
  struct key_view {
    const database_context* context;
    const statement* query;
    const read_limits* limits;
    size_t hash;
  };

  struct key_hash {
    using is_transparent = void;
    size_t operator()(const key& key) const noexcept { return key.hash; }
    size_t operator()(const key_view& key) const noexcept { return key.hash; }
  };

  struct key_equal {
    using is_transparent = void;
    bool operator()(const key& a, const key& b) const noexcept { return equal(a, view(b)); }
    bool operator()(const key& a, const key_view& b) const noexcept { return equal(a, b); }
    bool operator()(const key_view& a, const key& b) const noexcept { return equal(b, a); }
  };

  struct entry;
  using kept_entry = std::pair<const key, entry>;

  struct entry {
    read_result result;
    dependencies tables;
    uint64_t version = 0;
    clock::steady expires;
    size_t bytes = 0;
    std::list<const key*>::iterator use;
    std::list<kept_entry*>::iterator age;
    std::vector<std::pair<std::string, uint32_t>> hits;
    // While `hits` has content: where `hit_entries` of the shard has this entry.
    size_t hit_index = 0;
  };

  using entry_map = std::unordered_map<key, entry, key_hash, key_equal>;

  // Callers of different statements seldom use the same shard.
  struct alignas(64) shard {
    mutable std::mutex mutex;
    entry_map entries;
    // Most recently used first.
    std::list<const key*> uses;
    // The order of insertion, which is that of expiry.
    std::list<kept_entry*> ages;
    // The entry in `ages` that a sweep looks at next; from there on, and from the begin again, as many are suspected.
    std::list<kept_entry*>::iterator next_suspect = ages.end();
    size_t suspects = 0;
    // Entries with hits that no record has yet.
    std::vector<kept_entry*> hit_entries;
    size_t bytes = 0;
    uint64_t hits = 0;
    uint64_t invalidated = 0;
    uint64_t evicted = 0;
    // Hits of entries that have been removed.
    std::vector<audit_record> evicted_hits;
  };

  static key_view view(const key& key) { return {key.context, &key.query, &key.limits, key.hash}; }
  static bool equal(const key& a, const key_view& b) noexcept;
  static key_view view(const database_context& context, const read_request& request, const read_limits& limits);
  shard& shard_of(const key_view& key) { return shards_[(key.hash >> 56) % shards_.size()]; }
  static void erase(shard& in, entry_map::iterator which);
  static size_t sweep(shard& in, clock::steady now, size_t& left);
  static void count_hit(shard& in, kept_entry& hit, const std::string& agent);
  static void report_hits(const key& k, entry& e, std::vector<audit_record>& to);

  const result_cache_settings settings_;
  std::array<shard, 8> shards_;
  // The shard that the next sweep begins with, so that none is always the last.
  std::atomic<size_t> next_shard_ = 0;
};

/// The audit's key for a read: a digest of its statements and parameters.
std::string read_fingerprint(const statement& query, const std::vector<statement>& more = {});

} // namespace sluice
