#pragma once

#include "messages/error.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace sluice::http {

using response = boost::beast::http::response<boost::beast::http::string_body>;

/// The endpoint that a request is for.
enum class route { rpc, mcp, healthz, metrics };

/// The answer to a refused request.
struct refusal {
  boost::beast::http::status status = boost::beast::http::status::bad_request;
  errc code = errc::invalid_request;
  std::string message;
  /// A header field that the status requires.
  std::optional<std::pair<boost::beast::http::field, std::string>> field;
};

/// `{"error":{"code", "message"}}` for `refusal`.
response answer_to_refused(const refusal& refusal);

/// Accepts or refuses requests by their header alone, before their body causes any cost. `Host` must be a loopback name
/// with the port of this server (otherwise a page could use a host name of its own that resolves to this machine),
/// `Origin`, if present, must be a loopback origin, and every endpoint but `/healthz` needs a token: that of the store,
/// or for `/rpc` and `/mcp` that of an agent.
class request_filter {
public:
  using header = boost::beast::http::request_header<>;

  /// The tokens of agents, by their names.
  using agent_tokens = std::function<const std::map<std::string, std::string>&()>;

  request_filter(std::string token, uint16_t port, agent_tokens agents = {})
    : token_(std::move(token)), port_(port), agents_(std::move(agents)) {}

  std::variant<route, refusal> admit(const header& head) const;

  /// The name of the agent's token that the request has; empty for the store's. @pre `admit` has admitted it
  std::string token_of(const header& head) const;

private:
  std::optional<refusal> check_sender(const header& head) const;
  std::optional<std::string> find_token(const header& head) const;

  std::string token_;
  uint16_t port_;
  agent_tokens agents_;
};

/// Whether `name` is `localhost` or a loopback address; an IPv6 address must be in brackets.
bool is_loopback_host(std::string_view name);

} // namespace sluice::http
