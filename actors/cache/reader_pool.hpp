#pragma once

#include "actors/shared/requester.hpp"
#include "messages/interfaces.hpp"

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

/// The known length of a query.
enum class query_length : uint8_t {
  /// Shorter than waking another thread: to wait behind it is faster.
  tiny,
  brief,
  unknown,
  /// Longer than the time limit on the reader that is reserved for the others.
  lengthy,
};

/// Counts the queries of all databases that run without a time limit. Each occupies a thread; their maximum depends on
/// the machine, not on the number of databases. One process leaves a quarter of the threads to others (at least one if
/// there are several), and one of its agents has at most half of them. Not synchronized.
class long_reads {
public:
  explicit long_reads(uint64_t max = UINT64_MAX) : max_(std::max<uint64_t>(1, max)) {}

  /// Whether a query of the process may begin, if one of its agents may.
  bool may_start(uint64_t process) const;
  bool may_start(uint64_t process, const std::string& agent) const;
  void started(const requester& from);
  void ended(const requester& from);

  /// Whether a query has ended since the last call that others may have waited for.
  bool take_freed() noexcept { return std::exchange(is_freed_, false); }

private:
  struct usage {
    uint64_t all = 0;
    std::map<std::string, uint64_t> of_agent;
  };

  uint64_t max_;
  uint64_t all_ = 0;
  std::map<uint64_t, usage> of_process_;
  bool is_freed_ = false;
};

/// The readers of one database, and the queries that each runs. Not synchronized.
///
/// A reader is given several queries at once only if all of them are tiny. All readers but one may run queries without
/// a time limit: one process may use all but one of those, and one of its agents all but one of these, if there are
/// several. On the last reader, queries have a time limit.
///
/// If only one reader is configured, a second one is used as the reader with the limit while the first runs a query
/// that is known to be long, and is idle at other times.
class reader_pool {
public:
  struct reader {
    reader_actor handle;
    std::vector<uint64_t> running;
    bool only_tiny = true;
    // It runs a query of `from` without a time limit.
    bool is_unlimited = false;
    requester from{};
    // The query that it ran when `overrun` was called last.
    uint64_t seen = 0;
  };

  /// The reader for a query, and whether the query has a time limit.
  struct grant {
    reader* where = nullptr;
    bool is_limited = false;
  };

  /// @param max_readers the number of them that may run queries; at least 1
  /// @param everywhere outlives the pool; null if this is the only one
  explicit reader_pool(uint64_t max_readers = 1, long_reads* everywhere = nullptr)
    : max_readers_(std::max<uint64_t>(1, max_readers)), max_unlimited_(std::max<uint64_t>(2, max_readers) - 1),
      everywhere_(everywhere) {}

  // `idle_` has addresses of readers.
  reader_pool(reader_pool&&) = default;
  reader_pool& operator=(reader_pool&&) = default;

  void add(reader_actor handle);

  /// The reader to run the next query; none when the query must wait. Valid until the reader is removed.
  grant choose(query_length length, const requester& from);

  /// Whether a query of the process may run without a time limit now, if there is a reader, and one of its agents may.
  bool may_run_unlimited(uint64_t process) const { return has_room(process, nullptr); }
  bool may_run_unlimited(uint64_t process, const std::string& agent) const { return has_room(process, &agent); }

  /// Whether an idle reader may be given a query.
  bool has_idle() const noexcept { return !idle_.empty() && may_start_another(); }

  /// Whether the waiting queries need one reader more.
  bool lacks_readers() const noexcept {
    return idle_.empty() && (max_readers_ > 1 || readers_.empty() || (readers_.size() == 1 && may_start_another()));
  }

  /// Whether no reader runs a query.
  bool is_quiet() const noexcept { return idle_.size() == readers_.size(); }

  void started(const grant& grant, uint64_t flight, query_length length, const requester& from);
  void finished(reader& reader, uint64_t flight);

  /// Queries that wait at a reader behind one that has run since the last call, if another reader could run them, or if
  /// `others_wait` for a reader and must take turns with them. Call it at intervals that are longer than tiny queries
  /// take.
  std::vector<uint64_t> overrun(bool others_wait);

  /// Whether several queries have been given to one reader.
  bool has_waiting() const;

  /// Removes the reader with this address; returns the queries that it was running.
  std::vector<uint64_t> remove(const caf::actor_addr& lost);

private:
  bool has_room(uint64_t process, const std::string* agent) const;
  bool may_start_another() const noexcept { return max_readers_ > 1 || unlimited_ > 0 || is_quiet(); }
  reader* idle() const noexcept { return has_idle() ? idle_.back() : nullptr; }
  void leave_idle(reader& reader);
  void end_unlimited(reader& reader);

  std::list<reader> readers_;
  // Idle readers; the most recently used one is taken first, because its caches are warm.
  std::vector<reader*> idle_;
  uint64_t max_readers_;
  uint64_t max_unlimited_;
  uint64_t unlimited_ = 0;
  long_reads* everywhere_;
};

} // namespace sluice
