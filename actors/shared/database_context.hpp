#pragma once

#include "actors/base/duration_histogram.hpp"
#include "actors/shared/listener_backlog.hpp"
#include "actors/shared/retry_counters.hpp"
#include "actors/shared/short_writes.hpp"
#include "actors/shared/table_versions.hpp"
#include "actors/shared/write_quota.hpp"
#include "messages/interfaces.hpp"
#include "messages/ledger.hpp"
#include "messages/status.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

/// The current writer and the queue in front of it. Both are replaced together when a writer is restarted.
struct write_route {
  writer_actor writer;
  std::shared_ptr<write_quota> queue;
};

/// Counters of a database, kept by its writer and shown to operators.
struct database_counters {
  std::atomic<uint64_t> commits{0};
  std::atomic<uint64_t> committed_requests{0};
  std::atomic<uint64_t> replayed_requests{0};
  std::atomic<uint64_t> failed_requests{0};
  std::atomic<uint64_t> foreign_commits{0};
  std::atomic<uint64_t> file_events{0};
  std::atomic<uint64_t> restarts{0};
  std::atomic<uint64_t> checkpoints{0};
  std::atomic<uint64_t> wal_bytes{0};
};

/// The part of a database that outlives its actors: version stamps, counters, and the current route to its writer.
/// Callers keep it; the supervisor changes the route. Thread-safe.
class database_context {
public:
  explicit database_context(std::string name) : name_(std::move(name)) {}

  const std::string& name() const noexcept { return name_; }

  /// A hash of the name: the same in every run, unlike this object's address.
  size_t hash() const noexcept { return hash_; }

  table_versions& versions() noexcept { return versions_; }
  const table_versions& versions() const noexcept { return versions_; }
  database_counters& counters() noexcept { return counters_; }
  retry_counters& retries() noexcept { return retries_; }
  write_timings& timings() noexcept { return timings_; }
  sluice::short_writes& short_writes() noexcept { return short_writes_; }

  /// The current route, or the error if there is none (`unavailable`).
  caf::expected<write_route> route() const {
    std::lock_guard guard{mutex_};
    if (closed_)
      return make_error(*closed_);
    return route_;
  }

  /// The current route, even when requests are no longer accepted: for writes of the broker itself before it ends.
  /// `unavailable` when there has never been one.
  caf::expected<write_route> last_route() const {
    std::lock_guard guard{mutex_};
    if (!route_.queue)
      return make_error(errc::unavailable, "the database has not been opened");
    return route_;
  }

  void open(write_route route) {
    std::lock_guard guard{mutex_};
    route_ = std::move(route);
    closed_.reset();
    serving_.store(true, std::memory_order_release);
  }

  /// Refuses requests from now on, with the given error.
  void close(failure error, bool quarantined) {
    std::lock_guard guard{mutex_};
    serving_.store(false, std::memory_order_release);
    closed_ = std::move(error);
    quarantined_ = quarantined;
  }

  /// The current readers; the supervisor adds and removes them.
  std::vector<reader_actor> readers() const {
    std::lock_guard guard{mutex_};
    return readers_;
  }

  void add_reader(reader_actor reader) {
    std::lock_guard guard{mutex_};
    readers_.push_back(std::move(reader));
  }

  /// False when it is not one of them.
  bool remove_reader(const caf::actor_addr& address) {
    std::lock_guard guard{mutex_};
    return std::erase_if(readers_, [&](const reader_actor& reader) { return reader.address() == address; }) > 0;
  }

  /// Removes all readers and returns them.
  std::vector<reader_actor> take_readers() {
    std::lock_guard guard{mutex_};
    return std::exchange(readers_, {});
  }

  /// Whether requests are accepted; a cheap check.
  bool serving() const noexcept { return serving_.load(std::memory_order_acquire); }

  /// Releases the writer: the database is closed, or its broker ends.
  void forget_route() {
    std::lock_guard guard{mutex_};
    route_ = {};
  }

  /// The error with which reads are refused; nothing while the database is open.
  std::optional<failure> closed() const {
    std::lock_guard guard{mutex_};
    return closed_;
  }

  /// From now on `listener` is sent every `invalidation` of this database until `unlisten`, in the order of commits and
  /// each before the writes in it are acknowledged; fewer when it is behind (`listener_backlog`). Has no effect for a
  /// current listener. An actor that nothing references is removed.
  void listen(const invalidation_listener& listener);
  void unlisten(const invalidation_listener& listener);

  /// Sends `change` to the listeners; costs next to nothing without listeners. Called by one actor at a time: the
  /// writer, or the supervisor when there is none.
  void notify(const invalidation& change) {
    if (has_listeners_.load(std::memory_order_relaxed))
      notify_listeners(change);
  }

  /// Stores the ledger standing according to the audit, for the next writer.
  void know_ledger(ledger_standing standing) {
    std::lock_guard guard{mutex_};
    ledger_ = std::move(standing);
  }

  /// The writer has begun a new epoch of the ledger.
  void know_epoch(const std::string& id) {
    std::lock_guard guard{mutex_};
    ledger_.epoch = id;
  }

  /// The commit `seq` has been acknowledged, although the present file may lack it.
  void know_issued(uint64_t seq) {
    std::lock_guard guard{mutex_};
    ledger_.issued = std::max(ledger_.issued, seq);
  }

  /// The ledger standing, including the commits acknowledged since.
  ledger_standing known_ledger() const {
    std::lock_guard guard{mutex_};
    auto standing = ledger_;
    standing.issued = std::max(standing.issued, versions_.highest_commit());
    return standing;
  }

  /// Removes all listeners.
  void forget_listeners();

  database_status status(const clock& time) const;

private:
  void notify_listeners(const invalidation& change);

  const std::string name_;
  const size_t hash_ = std::hash<std::string>{}(name_);
  table_versions versions_;
  database_counters counters_;
  retry_counters retries_;
  write_timings timings_;
  sluice::short_writes short_writes_;
  mutable std::mutex mutex_;
  write_route route_;
  std::vector<reader_actor> readers_;
  std::optional<failure> closed_;
  ledger_standing ledger_;
  bool quarantined_ = false;
  std::atomic<bool> serving_{false};
  // By address. Addresses are weak references, so listening does not keep an actor alive.
  std::vector<std::shared_ptr<listener_backlog>> listeners_;
  std::atomic<bool> has_listeners_{false};
};

} // namespace sluice
