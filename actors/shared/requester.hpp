#pragma once

#include "messages/peer_identity.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace sluice {

/// The sender of a request. Turns and shares are given to processes first, and within a process to its agents: a client
/// can use any number of agent names, but not of processes.
struct requester {
  /// The user and process id at the other end of the socket. 0 stands for all callers inside this process and for HTTP,
  /// which together count as one process.
  uint64_t process = 0;
  std::string agent;
};

inline uint64_t process_of(const peer_identity& peer) noexcept { return uint64_t{peer.uid} << 32 | peer.pid; }

inline requester requester_of(const peer_identity& peer, std::string agent) {
  return {process_of(peer), std::move(agent)};
}

} // namespace sluice
