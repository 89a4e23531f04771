#pragma once

#include "runtime/client/client.hpp"
#include "runtime/client/leader_link.hpp"

#include <chrono>
#include <memory>

namespace sluice {

struct remote_settings {
  bool add_keys = true;
  /// As in `client_options`.
  bool continues_write = false;
  /// For requests without a time of their own.
  std::chrono::milliseconds write_deadline{30'000};
  std::chrono::milliseconds read_timeout{5'000};
  silence_policy silence{};
  /// For checking the whole audit.
  std::chrono::milliseconds verify_timeout{600'000};
};

/// A client of the leader, over a socket; `connection` is to the current leader. When the client is destroyed, pending
/// futures end as `errc::cancelled`; a write that was sent has the outcome `unknown`.
std::unique_ptr<client> make_remote_client(election_options options, descriptor connection,
                                           leader_link::lead_function lead, remote_settings settings);

} // namespace sluice
