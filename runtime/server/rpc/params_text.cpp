#include "runtime/server/rpc/params_text.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/json/json_writer.hpp"

#include <concepts>

namespace sluice::rpc {

namespace {

// Writes members in alphabetical order; missing ones mean the default.
class params_writer {
public:
  params_writer() { to_.begin_object(); }

  params_writer& say(std::string_view name, const std::string& text) {
    is_sendable_ = is_sendable_ && is_utf8(text);
    if (!text.empty())
      to_.key(name).text(text);
    return *this;
  }

  template <std::integral Int> params_writer& say(std::string_view name, Int number) {
    if (number != 0)
      to_.key(name).number(number);
    return *this;
  }

  // Writes the text even if it is empty.
  params_writer& always_say(std::string_view name, const std::string& text) {
    is_sendable_ = is_sendable_ && is_utf8(text);
    to_.key(name).text(text);
    return *this;
  }

  params_writer& say(std::string_view name, const parameters& params) {
    is_sendable_ = is_sendable_ && params.named.empty();
    if (params.positional.empty())
      return *this;
    to_.key(name).begin_array();
    for (const auto& content : params.positional)
      to_.content(content, integer_form::number);
    to_.end_array();
    return *this;
  }

  params_writer& say(std::string_view name, const std::vector<statement>& statements) {
    to_.key(name).begin_array();
    for (const auto& each : statements) {
      to_.begin_object();
      if (each.expected_changes)
        to_.key("expect").begin_object().key("changes").number(*each.expected_changes).end_object();
      say("params", each.params).always_say("sql", each.sql.str());
      to_.end_object();
    }
    to_.end_array();
    return *this;
  }

  std::optional<std::string> finish() {
    to_.end_object();
    return is_sendable_ ? std::optional{std::move(text_)} : std::nullopt;
  }

private:
  std::string text_;
  json_writer to_{text_};
  bool is_sendable_ = true;
};

} // namespace

std::optional<std::string> text_of_params(const write_request& request) {
  return params_writer{}
    .say("agent", request.agent)
    .say("capsule", request.grant ? request.grant->capsule : std::string{})
    .say("correlation_id", request.correlation_id)
    .always_say("db", request.db)
    .say("deadline_ms", request.deadline.count())
    .say("foreign_keys", request.enforce_foreign_keys ? std::string{} : std::string{"off"})
    .say("idempotency_key", request.idempotency_key)
    .say("request_id", request.request_id)
    .say("statements", request.statements)
    .finish();
}

std::optional<std::string> text_of_params(const read_request& request) {
  if (!request.more.empty())
    return std::nullopt;
  auto is_fresh = request.freshness == freshness::fresh;
  return params_writer{}
    .say("agent", request.agent)
    .say("correlation_id", request.correlation_id)
    .always_say("db", request.db)
    .say("freshness", is_fresh ? std::string{"fresh"} : std::string{})
    .say("max_bytes", request.limits.max_bytes)
    .say("max_rows", request.limits.max_rows)
    .say("min_seq", request.min_seq)
    .say("params", request.query.params)
    .say("request_id", request.request_id)
    .always_say("sql", request.query.sql.str())
    .say("timeout_ms", request.limits.timeout.count())
    .finish();
}

} // namespace sluice::rpc
