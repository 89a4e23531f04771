#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/lab/scenario/line_link.hpp"
#include "runtime/sqlite/faults/fault_vfs.hpp"

#include <filesystem>
#include <memory>
#include <thread>

namespace sluice::scenario {

/// Injects faults into the broker of a scenario: executes commands from a socket in this process, in the form of
/// `line_link::ask`. `{"do":"kill","what","db"?}`, `{"do":"disk.fault", ...}`, `{"do":"disk.room","bytes"}`,
/// `{"do":"disk.heal"}`, with the fields of those steps.
class broker_control {
public:
  /// Puts a disk that can fail in front of the real one; before the first database is opened.
  broker_control();
  ~broker_control();

  /// Begins to listen to the socket at `controller`. `leader` must not be shut down before `end`.
  caf::expected<void> begin(const std::filesystem::path& controller, broker& leader);

  void end();

private:
  void run();
  caf::expected<nlohmann::json> execute(const nlohmann::json& command);

  sqlite::fault_vfs disk_;
  broker* leader_ = nullptr;
  line_link controller_;
  descriptor stop_;
  descriptor stopped_;
  std::thread thread_;
};

} // namespace sluice::scenario
