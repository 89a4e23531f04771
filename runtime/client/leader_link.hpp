#pragma once

#include "runtime/client/channel.hpp"
#include "runtime/client/client.hpp"
#include "runtime/client/election.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <sys/types.h>

namespace sluice {

/// The connection of one client to the leader. When it is lost, one thread searches for the next leader on behalf of
/// all waiting ones. Thread-safe.
class leader_link {
public:
  using time_point = channel::time_point;

  /// The leader that requests are sent to: a connection, or the leader in this process.
  struct leader {
    std::shared_ptr<channel> connection;
    /// Set when this process leads.
    std::shared_ptr<client> local;
  };

  /// Leads the store in this process, because there is no broker. `errc::busy` if another process leads by now.
  using lead_function = std::function<caf::expected<std::unique_ptr<client>>(discovery_result)>;

  leader_link(election_options options, descriptor connection, lead_function lead, silence_policy silence = {});

  /// Waits for a leader until `limit`: `errc::busy` or `unavailable` if there is none by then, else the error that
  /// prevents one.
  caf::expected<leader> get(time_point limit);

  /// The connection, if requests can be sent on it at this moment; null if not.
  std::shared_ptr<channel> live();

  /// The client of the leader in this process; null if another leads.
  std::shared_ptr<client> local_leader();

  /// Ends every wait; `get` fails from now on.
  void stop();
  bool stopped() const noexcept { return stopped_; }

private:
  struct search {
    std::optional<caf::error> failed;
    bool over = false;
  };

  caf::expected<leader> find(time_point limit);
  std::optional<file_identity> meant_root() const;
  bool is_forked() const noexcept;

  election_options options_;
  lead_function lead_;
  silence_policy silence_;
  pid_t owner_;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;
  std::condition_variable found_;
  leader leader_;
  std::shared_ptr<search> search_;
};

} // namespace sluice
