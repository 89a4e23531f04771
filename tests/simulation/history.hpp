#pragma once

#include "actors/base/clock.hpp"
#include "messages/buffer.hpp"
#include "messages/cancel_token.hpp"
#include "messages/write.hpp"
#include "tests/simulation/plan.hpp"

#include <caf/actor.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sluice::simulation {

/// An invariant that does not hold.
struct violation {
  std::string invariant;
  std::string details;
};

/// The state of a request as its client knows it.
enum class fate : uint8_t { open, done, refused, unknown };

/// The data of `waiting_rules` on a request.
struct waiting_time {
  clock::steady since{};
  /// The total time for which the simulation had held ready actors back by then.
  std::chrono::nanoseconds stalled{0};
  /// The execution time of each client's statements of the lane by then; empty if its turn is not checked.
  std::vector<std::chrono::milliseconds> executed;
};

/// A request that was sent, and its outcome. `began` and `ended` are the numbers of events, 0 for never.
struct attempt {
  uint64_t client = 0;
  operation planned;
  std::string request_id;
  uint64_t began = 0;
  uint64_t ended = 0;
  simulation::fate fate = simulation::fate::open;
  failure error;
  /// Whether it was sent to a broker that was ending in order.
  bool late = false;
  /// The actor that waits for the answer.
  caf::actor messenger;
  /// With `settings::timed`: set when the client has left.
  cancel_token cancel;
  bool is_cancelled = false;
  waiting_time waiting;
};

struct write_attempt : attempt {
  /// Its idempotency key; empty for none.
  std::string key;
  write_result result;
  /// Whether it was acknowledged, and lost by a power cut (without fsync) or with its file.
  bool lost = false;
  /// The event of the restore that lost it; 0 for none.
  uint64_t taken = 0;
};

struct read_attempt : attempt {
  std::string rows;
  uint64_t as_of_seq = 0;
  uint64_t min_seq = 0;
  /// The newest commit that an answer had shown to any client when it began.
  uint64_t acknowledged = 0;
  /// The external commits before it began, and before it ended.
  int64_t foreign_before = 0;
  int64_t foreign_after = 0;
  /// External commits that any client had seen when it began.
  int64_t foreign_shown = 0;
  read_source source = read_source::database;
  /// Whether it read a commit that a power cut has removed since.
  bool lost = false;
};

struct put_attempt : attempt {};

struct flush_attempt : attempt {
  flush_report report;
};

struct get_attempt : attempt {
  buffered_row row;
};

/// The content of a copy of a database.
struct backup {
  /// The newest commit.
  uint64_t seq = 0;
  int64_t foreign = 0;
  std::set<std::string> requests;
  std::set<std::string> keys;
};

/// The events that the invariants check, in order.
struct history {
  struct per_database {
    uint64_t acknowledged = 0;
    int64_t foreign = 0;
    /// External commits that may have happened or not.
    int64_t foreign_failures = 0;
    /// The external commits that an answer has shown.
    int64_t foreign_shown = 0;
    /// The WAL was removed, and nothing was acknowledged since: its commits are lost if the process dies.
    bool exposed = false;
    /// The event of the removal.
    uint64_t exposed_since = 0;
    /// The backups that replaced the database.
    struct restore {
      /// The number of the event.
      uint64_t event = 0;
      backup source;
      /// Whether it lost the effect of this write, or of the first one under its key.
      bool took(const write_attempt& attempt) const {
        return attempt.began < event
               && !(attempt.result.replayed ? source.keys.contains(attempt.key)
                                            : source.requests.contains(attempt.request_id));
      }
    };
    std::vector<restore> restores;
    /// The events at which a removed WAL was lost with its process.
    std::vector<uint64_t> log_losses;
    /// Whether the broker cannot have noticed the last one yet, so that a cached answer may still be returned.
    bool unnoticed = false;
    /// The event at which it was noticed: requests that began before may still use the old files.
    uint64_t noticed = 0;
    /// Whether the files at the path are not those that the broker left, and it has not handled that yet.
    bool in_danger() const noexcept { return exposed || unnoticed; }
    /// Whether commits were lost with files that no longer exist.
    bool replaced = false;
  };

  uint64_t event = 0;
  std::array<per_database, 2> databases;
  // Callbacks keep references.
  std::deque<write_attempt> writes;
  std::deque<read_attempt> reads;
  std::deque<put_attempt> puts;
  std::deque<get_attempt> gets;
  std::deque<flush_attempt> flushes;
  /// The events that may have lost pending rows of the buffer.
  std::vector<uint64_t> buffer_losses;
  /// The events that may have lost unwritten audit records.
  std::vector<uint64_t> audit_losses;
  /// The events that a journal does not survive either.
  std::vector<uint64_t> power_losses;
  /// Whether another program has held the lock of a database.
  bool locked = false;
  /// The first violation by a request that did not end in time or did not get its turn.
  std::optional<violation> unserved;
  /// Whether any request failed for a reason other than a client's own error.
  bool troubled = false;
  bool disk_troubled = false;
  /// Whether the audit may have lost unwritten records.
  bool audit_troubled = false;
};

} // namespace sluice::simulation
