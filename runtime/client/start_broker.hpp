#pragma once

#include "runtime/store/store_lock.hpp"

#include <chrono>
#include <filesystem>
#include <string>

namespace sluice {

/// The program to start brokers with: `wanted`, else SLUICE_PROGRAM, else this very program if it is `sluice`, else the
/// one in PATH. Empty if there is none. Absolute.
std::filesystem::path broker_program(const std::filesystem::path& wanted);

/// The result of a start.
struct broker_start {
  enum class fate : uint8_t {
    /// Its socket accepts.
    ready,
    /// There is no such program, or it cannot be run.
    not_started,
    /// It reported an error; `reason` has its text.
    refused,
    /// It ended without a message.
    died,
    /// It reported nothing within `patience`; it may lead by now.
    silent,
  };

  fate became = fate::not_started;
  /// For people.
  std::string reason;
};

/// Starts `program` as a broker in a session of its own that leads `root` under `lock`. The broker owns `lock` from
/// then on, unless it could not be started at all. Waits until it serves. Its standard error is appended to
/// `.sluice/broker.log`.
///
/// The program is run as `serve ROOT --transient --lock-fd N --claim-fd N --ready-fd N`, goes to the background by
/// itself, and writes `ready` or `error CODE MESSAGE`, a line, to the last of these.
broker_start start_broker(const std::filesystem::path& program, const store_root& root, store_lock& lock,
                          std::chrono::milliseconds patience);

} // namespace sluice
