#pragma once

#include "messages/interfaces.hpp"

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

/// What is known of the time that a query takes.
enum class query_length : uint8_t {
  /// Shorter than waking up another thread, so that waiting behind it is the quicker way.
  tiny,
  brief,
  unknown,
  /// Longer than a query may run on the reader that is kept for the others.
  lengthy,
};

/// The queries of all databases that run for as long as they like. Each holds a thread, of which there are as many as
/// the machine has use for, and not as many as there are databases. Not synchronized.
class long_reads {
public:
  explicit long_reads(uint64_t max = UINT64_MAX) : max_(std::max<uint64_t>(1, max)) {}

  /// Whether a query of `agent` may begin; one agent has at most half of them.
  bool may_start(const std::string& agent) const;
  void started(const std::string& agent);
  void ended(const std::string& agent);

  /// Whether one has ended since the last call that others may have waited for.
  bool take_freed() noexcept { return std::exchange(is_freed_, false); }

private:
  uint64_t max_;
  uint64_t all_ = 0;
  std::map<std::string, uint64_t> by_agent_;
  bool is_freed_ = false;
};

/// The readers of one database, and what each is running. Not synchronized.
///
/// A reader is given several queries at once only if all of them are tiny; anything else gets a reader of its own. All
/// readers but one may run queries for as long as these like, and one agent may not take all of those. On the last one
/// a query runs for a limited time.
class reader_pool {
public:
  struct reader {
    reader_actor handle;
    std::vector<uint64_t> running;
    bool only_tiny = true;
    // It runs a query of `agent` for as long as that likes.
    bool is_unlimited = false;
    std::string agent{};
  };

  /// Which reader runs a query, and whether its time is limited.
  struct grant {
    reader* who = nullptr;
    bool is_limited = false;
  };

  /// @param max_readers how many readers there may be; at least 1
  /// @param everywhere outlives the pool; null if this is the only one
  explicit reader_pool(uint64_t max_readers = 1, long_reads* everywhere = nullptr)
    : max_unlimited_(std::max<uint64_t>(2, max_readers) - 1), everywhere_(everywhere) {}

  void add(reader_actor handle) { readers_.emplace_back().handle = std::move(handle); }

  /// The reader that should run the next query; none when it has to wait. Valid until the reader is removed.
  grant choose(query_length length, const std::string& agent);

  /// Whether a query of `agent` may run for as long as it likes now, if there is a reader.
  bool may_run_unlimited(const std::string& agent) const;

  /// Whether a reader has nothing to do.
  bool has_idle() const;

  /// Whether no reader has anything to do.
  bool is_quiet() const;

  void started(const grant& x, uint64_t flight, query_length length, const std::string& agent);
  void finished(reader& x, uint64_t flight);

  /// Takes the reader with this address out; returns what it was running.
  std::vector<uint64_t> remove(const caf::actor_addr& lost);

private:
  reader* idle();
  void end_unlimited(reader& x);

  std::list<reader> readers_;
  uint64_t max_unlimited_;
  long_reads* everywhere_;
};

} // namespace sluice
