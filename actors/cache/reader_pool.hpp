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
  /// Shorter than waking up another thread, so that waiting behind it is the quicker way.
  tiny,
  brief,
  unknown,
  /// Longer than a query may run on the reader that is kept for the others.
  lengthy,
};

/// The queries of all databases that run for as long as they like. Each holds a thread, of which there are as many as
/// the machine has use for, and not as many as there are databases. One process leaves a quarter of them to others, at
/// least one if there are several, and one agent of it has at most half of them. Not synchronized.
class long_reads {
public:
  explicit long_reads(uint64_t max = UINT64_MAX) : max_(std::max<uint64_t>(1, max)) {}

  /// Whether a query of the process may begin, if one of its agents may.
  bool may_start(uint64_t process) const;
  bool may_start(uint64_t process, const std::string& agent) const;
  void started(const requester& from);
  void ended(const requester& from);

  /// Whether one has ended since the last call that others may have waited for.
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

/// The readers of one database, and what each is running. Not synchronized.
///
/// A reader is given several queries at once only if all of them are tiny; anything else gets a reader of its own. All
/// readers but one may run queries for as long as these like: one process runs such on all of those but one, and one
/// agent of it on all but one of these, if there are several. On the last one a query runs for a limited time.
///
/// Where there may be one reader only, a second one takes its place as the last one while it runs a query that is known
/// to be long, and is left alone at other times.
class reader_pool {
public:
  struct reader {
    reader_actor handle;
    std::vector<uint64_t> running;
    bool only_tiny = true;
    // It runs a query of `from` for as long as that likes.
    bool is_unlimited = false;
    requester from{};
    // The query that it ran when `overrun` was called last.
    uint64_t seen = 0;
  };

  /// Which reader runs a query, and whether its time is limited.
  struct grant {
    reader* where = nullptr;
    bool is_limited = false;
  };

  /// @param max_readers how many of them may run queries; at least 1
  /// @param everywhere outlives the pool; null if this is the only one
  explicit reader_pool(uint64_t max_readers = 1, long_reads* everywhere = nullptr)
    : max_readers_(std::max<uint64_t>(1, max_readers)), max_unlimited_(std::max<uint64_t>(2, max_readers) - 1),
      everywhere_(everywhere) {}

  // Idle readers are known by their addresses.
  reader_pool(reader_pool&&) = default;
  reader_pool& operator=(reader_pool&&) = default;

  void add(reader_actor handle);

  /// The reader that should run the next query; none when it has to wait. Valid until the reader is removed.
  grant choose(query_length length, const requester& from);

  /// Whether a query of the process may run for as long as it likes now, if there is a reader, and one of its agents
  /// may.
  bool may_run_unlimited(uint64_t process) const { return has_room(process, nullptr); }
  bool may_run_unlimited(uint64_t process, const std::string& agent) const { return has_room(process, &agent); }

  /// Whether a reader has nothing to do and may be given something.
  bool has_idle() const noexcept { return !idle_.empty() && may_start_another(); }

  /// Whether what waits has use for one reader more.
  bool lacks_readers() const noexcept {
    return idle_.empty() && (max_readers_ > 1 || readers_.empty() || (readers_.size() == 1 && may_start_another()));
  }

  /// Whether no reader has anything to do.
  bool is_quiet() const noexcept { return idle_.size() == readers_.size(); }

  void started(const grant& grant, uint64_t flight, query_length length, const requester& from);
  void finished(reader& reader, uint64_t flight);

  /// Queries that wait at a reader behind one that has run since the last call, if another reader could run them, or
  /// `others_wait` for a reader, with whom they are to take turns. Call it at intervals that are longer than tiny
  /// queries take.
  std::vector<uint64_t> overrun(bool others_wait);

  /// Whether several queries have been given to one reader.
  bool has_waiting() const;

  /// Takes the reader with this address out; returns what it was running.
  std::vector<uint64_t> remove(const caf::actor_addr& lost);

private:
  bool has_room(uint64_t process, const std::string* agent) const;
  bool may_start_another() const noexcept { return max_readers_ > 1 || unlimited_ > 0 || is_quiet(); }
  reader* idle() const noexcept { return has_idle() ? idle_.back() : nullptr; }
  void leave_idle(reader& reader);
  void end_unlimited(reader& reader);

  std::list<reader> readers_;
  // Those that have nothing to do; the one that had something last is taken first, since its caches are warm.
  std::vector<reader*> idle_;
  uint64_t max_readers_;
  uint64_t max_unlimited_;
  uint64_t unlimited_ = 0;
  long_reads* everywhere_;
};

} // namespace sluice
