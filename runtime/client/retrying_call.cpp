#include "runtime/client/retrying_call.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/json/json.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds grace{1'000};
constexpr milliseconds longest_pause{100};
constexpr size_t suspect_bytes = size_t{64} << 10;

bool is_draining(const nlohmann::json& error, const failure& reason) {
  auto data = error.find("data");
  if (reason.code != errc::unavailable || data == error.end() || !data->is_object())
    return false;
  auto draining = data->find("draining");
  return draining != data->end() && draining->is_boolean() && draining->get<bool>();
}

// A refusal from before the leader has searched its ledger does not tell the outcome of an earlier try.
bool looked_into_ledger(errc code) {
  return code == errc::sql_error || code == errc::constraint || code == errc::conflict
         || code == errc::payload_mismatch;
}

bool is_retryable(errc code) { return code == errc::overloaded || code == errc::unavailable || code == errc::busy; }

} // namespace

retrying_call::retrying_call(std::string method, nlohmann::json params, time_limit time, bool changes, bool repeatable)
  : method_(std::move(method)), params_(std::move(params)), time_(time), start_(steady_clock::now()),
    limit_(start_ + time.length + grace), changes_(changes), repeatable_(repeatable) {
  if (time_.field && time_.given)
    params_[time_.field] = time_.length.count();
  auto text = dump_exactly(params_);
  if (!is_utf8(method_))
    refusal_ = make_error(errc::invalid_request, "method is not valid UTF-8");
  else if (text)
    text_ = std::move(*text);
  else
    refusal_ = std::move(text.error());
}

retrying_call::retrying_call(std::string method, std::string params, time_limit time, bool changes, bool repeatable)
  : method_(std::move(method)), keeps_text_(true), time_(time), start_(steady_clock::now()),
    limit_(start_ + time.length + grace), changes_(changes), repeatable_(repeatable), text_(std::move(params)) {}

milliseconds retrying_call::left() const noexcept {
  auto spent = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start_);
  return std::max(milliseconds{1}, time_.length - spent);
}

std::string retrying_call::params() {
  auto time = left();
  auto is_late = time_.field && (time_.given ? time != time_.length : tries_ > 0);
  auto is_first = tries_++ == 0;
  if (is_first && keeps_text_ && !is_late) {
    bytes_ = text_.size();
    return text_;
  }
  if (std::exchange(keeps_text_, false))
    params_ = nlohmann::json::parse(text_);
  if (!is_first || is_late) {
    // Params that are no object are sent unchanged: the leader refuses them.
    if (time_.field && params_.is_object())
      params_[time_.field] = time.count();
    text_ = dump(params_);
  }
  auto text = std::exchange(text_, {});
  bytes_ = text.size();
  return text;
}

std::optional<caf::expected<nlohmann::json>> retrying_call::judge(const channel::call& tried, channel& connection) {
  using call_state = channel::call_state;
  pause_ = milliseconds{0};
  if (tried.state == call_state::answered) {
    auto answer = nlohmann::json::parse(tried.answer, nullptr, false);
    if (answer.is_object() && answer.contains("result"))
      return caf::expected<nlohmann::json>{std::move(answer["result"])};
    if (answer.is_object() && answer.contains("error") && answer["error"].is_object())
      return judge_error(answer["error"], connection);
    // The peer does not speak this protocol.
    connection.close();
  }
  auto refusal = connection.refusal();
  if (refusal && (refusal->code == errc::protocol_mismatch || refusal->code == errc::wrong_store))
    return caf::expected<nlohmann::json>{with_outcome(std::move(*refusal))};
  // A connection that was refused because of the limit served none of its requests.
  maybe_done_ = maybe_done_ || (tried.sent && !(refusal && refusal->code == errc::overloaded));
  // A line beyond the leader's bound ends its connection, and would end the next one.
  if (refusal && refusal->code == errc::too_large && bytes_ >= suspect_bytes)
    return caf::expected<nlohmann::json>{with_outcome(std::move(*refusal))};
  if (tried.state == call_state::pending) {
    auto silence = connection.silence();
    last_reason_ = silence.value_or(std::move(last_reason_));
    if (!silence || steady_clock::now() >= limit_)
      return caf::expected<nlohmann::json>{out_of_time()};
    return caf::expected<nlohmann::json>{with_outcome(make_failure(errc::unavailable, last_reason_))};
  }
  last_reason_ = refusal ? refusal->message : "the connection to the broker was lost";
  if (refusal || tries_ > 1)
    pause_ = std::min(longest_pause, milliseconds{1 << std::min(tries_, 7u)});
  if (maybe_done_ && !repeatable_) {
    return caf::expected<nlohmann::json>{
      with_outcome(make_failure(errc::unavailable, last_reason_ + " before it answered"))};
  }
  return std::nullopt;
}

std::optional<caf::expected<nlohmann::json>> retrying_call::judge_error(const nlohmann::json& error,
                                                                        channel& connection) {
  auto failed = rpc::failure_from_json(error);
  if (is_draining(error, failed)) {
    connection.set_draining();
    last_reason_ = failed.message;
    return std::nullopt;
  }
  // An older leader that gives way to this client refused this call with its greeting.
  if (failed.code == errc::protocol_mismatch && connection.draining()) {
    last_reason_ = failed.message;
    return std::nullopt;
  }
  if (!maybe_done_ || looked_into_ledger(failed.code))
    return caf::expected<nlohmann::json>{make_error(std::move(failed))};
  if (!is_retryable(failed.code))
    return caf::expected<nlohmann::json>{with_outcome(std::move(failed))};
  // The answer will tell the outcome of the earlier try, so the next try follows at once.
  last_reason_ = failed.message;
  pause_ = std::clamp(milliseconds{failed.retry_after_ms}, milliseconds{1 << std::min(tries_, 6u)}, longest_pause);
  return std::nullopt;
}

std::optional<caf::error> retrying_call::judge_blocked(const failure& reason) {
  last_reason_ = reason.message;
  pause_ = longest_pause;
  if (steady_clock::now() >= limit_)
    return out_of_time();
  // Waiting will not bring the store back to this path.
  if (reason.code == errc::wrong_store)
    return with_outcome(reason);
  if (maybe_done_ || reason.code == errc::busy || reason.code == errc::unavailable)
    return std::nullopt;
  return make_error(reason);
}

caf::error retrying_call::cancelled(bool sent, std::string reason) const {
  auto is_unknown = changes_ && (sent || maybe_done_);
  return make_error(errc::cancelled, std::move(reason),
                    {.outcome = is_unknown ? outcome::unknown : outcome::not_committed});
}

caf::error retrying_call::amend(caf::error error) const {
  auto reason = describe(error);
  return maybe_done_ && !looked_into_ledger(reason.code) ? with_outcome(std::move(reason)) : std::move(error);
}

caf::error retrying_call::out_of_time() const {
  auto waited_ms =
    static_cast<uint32_t>(std::chrono::duration_cast<milliseconds>(steady_clock::now() - start_).count());
  auto message = "no answer from the broker in " + std::to_string(waited_ms) + " ms";
  if (!last_reason_.empty())
    message += " (" + last_reason_ + ")";
  return with_outcome(
    make_failure(errc::deadline_exceeded, std::move(message), {.attempts = tries_, .waited_ms = waited_ms}));
}

caf::error retrying_call::with_outcome(failure reason) const {
  if (changes_ && maybe_done_)
    reason.outcome = outcome::unknown;
  return make_error(std::move(reason));
}

} // namespace sluice
