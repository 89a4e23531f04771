#pragma once

#include "messages/invalidation.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// Notifies each subscriber of every commit that changed its tables, in the order of commits, without duplicates or
/// gaps. Commits come from the writers as they happen, and from the ledger where a subscriber resumes or a message was
/// lost with its writer. A subscriber that does not read its notifications gets one `subscription_lost`; the broker
/// does not wait for it.
///
/// Used by one thread.
class subscriptions {
public:
  using id = uint64_t;

  /// The bound on subscriptions: each is compared with every commit, and notified, in the thread that serves all
  /// clients.
  static constexpr size_t max_in_all = 16'384;
  static constexpr size_t max_per_connection = 256;
  /// The bound on the names of the tables, in bytes.
  static constexpr size_t max_names_per_connection = size_t{1} << 20;

  /// Sends a document; false when the client is too far behind and the document is not one that `must` be sent.
  using pusher = std::function<bool(const std::string& line, bool must)>;

  /// The request of a subscriber.
  struct wish {
    std::string db;
    /// None means all.
    std::vector<std::string> tables;
    /// The newest commit that it knows.
    uint64_t after_seq = 0;
    pusher push;
  };

  /// Reads commits of a database from its ledger: those after `seq` in order, some or all of them. Passes them to the
  /// callback later, on the same thread.
  using history = std::function<void(const std::string& db, uint64_t seq,
                                     std::function<void(caf::expected<std::vector<invalidation>>)>)>;

  explicit subscriptions(history past) : past_(std::move(past)) {}

  /// Adds a subscriber; `newest_seq` is the newest commit of the database at this moment; the commits between
  /// `after_seq` and it are sent first.
  id add(wish wish, uint64_t newest_seq);

  void remove(id subscription);

  /// False for one that has been removed or lost.
  bool has(id subscription) const { return subscribers_.contains(subscription); }

  /// A writer has committed.
  void publish(const invalidation& change);

  /// Whether the database has subscribers.
  bool wanted(const std::string& db) const;

  size_t size() const noexcept { return subscribers_.size(); }

private:
  struct subscriber {
    wish wants;
    // The newest commit that it has been notified of, or that does not concern it.
    uint64_t seen_seq = 0;
    // The newest known commit; while it is ahead of `seen_seq`, the ledger is being read.
    uint64_t newest_seq = 0;
    bool reading = false;
  };

  void catch_up(id subscription);
  bool notify(id subscription, subscriber& subscriber, const invalidation& change);
  void lose(id subscription, std::string_view reason);

  history past_;
  std::map<id, subscriber> subscribers_;
  // The newest commit that a writer has published, by database.
  std::map<std::string, uint64_t> live_;
  id next_ = 1;
};

} // namespace sluice
