#pragma once

#include "runtime/os/descriptor.hpp"
#include "runtime/store/store_lock.hpp"

#include <caf/expected.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace sluice {

/// Options of the search for a leader.
struct election_options {
  /// The store to find. May be left out with an endpoint: the search then does not check which folder the broker there
  /// leads.
  std::optional<store_root> root;
  /// The only socket to try; the search then starts no broker.
  std::filesystem::path endpoint;
  /// Whether to start a broker if no process leads.
  bool start = true;
  /// The program to start it with, as `client_options` has it.
  std::filesystem::path program;
  /// The maximum time for the start of a broker.
  std::chrono::milliseconds start_timeout{10'000};
};

/// The result of the search: a connection, or the fact that no process leads and no broker will start, so that this
/// process may lead.
struct discovery_result {
  descriptor connection;
  /// The leadership, unless a broker that could have taken it failed and kept it.
  std::optional<store_lock> lock;
  /// The reason why there is no broker, for people; empty if none was wanted.
  std::string reason;
};

/// Connects to the leader, or starts one and connects. Asks again, with pauses of 2 to 40 ms, while another process
/// holds the lock and has no socket yet (or not any more), until `limit` or until `*stopped`: then `errc::busy`, or
/// `unavailable` where only an endpoint was asked. `busy` at once when a broker of this process leads without a front
/// door. A broker of another store is ignored; at an endpoint it is
/// `errc::wrong_store`, as it is when the root is not in its place any more.
caf::expected<discovery_result> find_leader(const election_options& options,
                                            std::chrono::steady_clock::time_point limit,
                                            const std::atomic<bool>* stopped = nullptr);

/// Finds a leader repeatedly, for a process that could not lead when no broker could be started. Does not start a
/// broker again that could not be started.
class repeated_election {
public:
  explicit repeated_election(election_options options) : options_(std::move(options)) {}

  /// As `find_leader`.
  caf::expected<discovery_result> find(std::chrono::steady_clock::time_point limit,
                                       const std::atomic<bool>* stopped = nullptr);

private:
  election_options options_;
  std::string reason_;
};

} // namespace sluice
