#pragma once

#include "runtime/lab/scenario/source.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::scenario {

/// An agent as a scenario describes it.
struct agent_options {
  std::string name;
  /// As `client_options::add_keys`.
  bool add_keys = true;
};

/// An SQL statement, and its position in the scenario file.
struct setup_statement {
  std::string sql;
  place at;
};

/// The state at the start of a scenario.
struct setup {
  /// SQL statements by the name of the database file, relative to the store root. They are executed before any broker
  /// starts, so they are in no ledger and no audit.
  std::vector<std::pair<std::string, std::vector<setup_statement>>> databases;
  /// The text of `sluice.toml`, and the position in the scenario file of each part.
  std::string settings;
  place settings_at;
  /// Agents that differ from the defaults of `agent_options`.
  std::vector<agent_options> agents;
};

/// The error of a failed setup. Errors in statements or settings have a position and are `errc::invalid_request`,
/// `sql_error` or `constraint`; any other is a failure of the backend.
struct setup_error {
  caf::error error;
  place at;
};

/// Runs the steps of a scenario: a store with its broker, its agents and its fault injection. Used by one thread, which
/// also makes all callbacks, from within `pump`.
///
/// Its requests are those of the protocol (docs/reference/protocol.md), its faults those of the table of step kinds
/// (docs/guides/scenarios.md).
class backend {
public:
  using on_answer = std::function<void(caf::expected<nlohmann::json>)>;
  using notification_handler = std::function<void(const nlohmann::json&)>;

  virtual ~backend() = default;

  /// For people: "the real runtime".
  virtual std::string_view name() const = 0;

  /// The reason why this backend cannot run steps of this kind; nothing if it can.
  virtual std::optional<std::string> unsupported_reason(std::string_view kind) const = 0;

  bool can(std::string_view kind) const { return !unsupported_reason(kind); }

  /// Executes the setup; called once, before everything else. Nothing on success.
  virtual std::optional<setup_error> prepare(const setup& wanted) = 0;

  /// The time of the scenario, since an arbitrary moment; the only clock of its steps.
  virtual std::chrono::milliseconds now() const = 0;

  virtual void after(std::chrono::milliseconds time, std::function<void()> done) = 0;

  /// An agent calls a method of the protocol. Always answered eventually.
  virtual void call(const std::string& agent, std::string_view method, nlohmann::json params, on_answer done) = 0;

  /// The method `subscribe`. Notifications go to `on_notification`: the `params` of `invalidation` and
  /// `subscription_lost`; the latter also, without a reason from the broker, when the connection is lost.
  virtual void subscribe(const std::string& agent, nlohmann::json params, on_answer done,
                         notification_handler on_notification) = 0;

  /// Runs a step that is not a request: its `kind` and its fields. Answered when it is done.
  virtual void act(std::string_view kind, nlohmann::json fields, on_answer done) = 0;

  /// Waits for the next event and calls its callback. False when no event can follow.
  virtual bool pump() = 0;
};

} // namespace sluice::scenario
