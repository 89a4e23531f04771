#pragma once

#include "runtime/store/store_lock.hpp"

#include <chrono>
#include <filesystem>
#include <string>

namespace sluice {

/// The program that is started as a broker: `wanted`, else SLUICE_PROGRAM, else this program if it is `sluice`, else
/// the one in PATH. Empty if there is none. Absolute.
std::filesystem::path broker_program(const std::filesystem::path& wanted);

/// The result of a start.
struct broker_start {
  enum class state : uint8_t {
    /// It accepts connections at its socket.
    ready,
    /// There is no such program, or it cannot be run.
    not_started,
    /// It reported an error; `reason` has its text.
    refused,
    /// It ended without a message.
    died,
    /// It reported nothing within `timeout`; it may lead by now.
    silent,
  };

  state result = state::not_started;
  /// For people.
  std::string reason;
};

/// Starts `program` as a broker in a session of its own that leads `root` under `lock`. The broker owns `lock` from
/// then on, unless it could not be started. Waits until it serves. Its standard error is appended to
/// `.sluice/broker.log`.
///
/// The program is run as `serve ROOT --transient --lock-fd N --claim-fd N --ready-fd N`, goes to the background by
/// itself, and writes one line to the last of these: `ready` or `error CODE MESSAGE`.
broker_start start_broker(const std::filesystem::path& program, const store_root& root, store_lock& lock,
                          std::chrono::milliseconds timeout);

} // namespace sluice
