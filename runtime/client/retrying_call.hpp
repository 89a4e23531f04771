#pragma once

#include "runtime/client/channel.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace sluice {

/// The state of one call across its tries. Used by one thread at a time.
class retrying_call {
public:
  using time_point = channel::time_point;

  /// The name of a call's time limit in its parameters, and its value.
  struct time_limit {
    const char* field = nullptr;
    std::chrono::milliseconds length{0};
    /// Whether the caller set it; if not, the leader applies its own limit.
    bool given = false;
  };

  /// `changes` says whether the outcome matters; `repeatable`, whether it may be sent again when an answer was lost.
  retrying_call(std::string method, nlohmann::json params, time_limit time, bool changes, bool repeatable);

  /// As above, for parameters that are JSON text already; the text includes the time limit if `time.given`.
  retrying_call(std::string method, std::string params, time_limit time, bool changes, bool repeatable);

  /// Another process may have sent this call before, so it may have been executed.
  void continue_from_elsewhere() noexcept { maybe_done_ = true; }

  const std::string& method() const noexcept { return method_; }

  /// When to give up: one second after the deadline of the call, so that the leader's answer can arrive.
  time_point limit() const noexcept { return limit_; }

  /// The rest of its time, at least a millisecond.
  std::chrono::milliseconds left() const noexcept;

  /// `errc::invalid_request` if the method, or text in the parameters that is no value, is not UTF-8, so that it cannot
  /// be sent.
  const std::optional<caf::error>& refusal() const noexcept { return refusal_; }

  /// The parameters to send now. @pre there is no `refusal`
  std::string params();

  /// The result of a try: the answer of the call, or nothing if it must be repeated, possibly on the same connection.
  /// Closes or drains `connection` if the answer says so.
  std::optional<caf::expected<nlohmann::json>> judge(const channel::call& tried, channel& connection);

  /// The result of a failed search for a leader: the end of the call, or nothing if it must be repeated.
  std::optional<caf::error> judge_blocked(const failure& reason);

  /// The error of a call that is given up for the reason `reason`; `sent` is whether it was under way.
  caf::error cancelled(bool sent, std::string reason = "the client was closed before the answer came") const;

  /// Converts a failure of the last try, made in this process, into one of the whole call.
  caf::error amend(caf::error reason) const;

  /// The pause before the next try.
  std::chrono::milliseconds pause() const noexcept { return pause_; }

private:
  std::optional<caf::expected<nlohmann::json>> judge_error(const nlohmann::json& error, channel& connection);
  caf::error out_of_time() const;
  caf::error with_outcome(failure reason) const;

  std::string method_;
  // Null for a call that was made of text, until it is repeated.
  nlohmann::json params_;
  bool keeps_text_ = false;
  time_limit time_;
  time_point start_;
  time_point limit_;
  bool changes_;
  bool repeatable_;
  // The parameters as text, until the first try takes it, or as long as `params_` is null.
  std::string text_;
  std::optional<caf::error> refusal_;
  uint32_t tries_ = 0;
  size_t bytes_ = 0;
  // A try was sent completely, and its answer was lost.
  bool maybe_done_ = false;
  std::chrono::milliseconds pause_{0};
  std::string last_reason_;
};

} // namespace sluice
