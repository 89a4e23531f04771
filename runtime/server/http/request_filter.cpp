#include "runtime/server/http/request_filter.hpp"

#include "runtime/server/rpc/mcp.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace sluice::http {

namespace {

namespace beast = boost::beast;
using beast::http::field;
using beast::http::status;
using beast::http::verb;

struct endpoint {
  std::string_view path;
  route to;
  bool is_posted;
  bool needs_token;
};

constexpr std::array endpoints{
  endpoint{"/rpc", route::rpc, true, true},
  endpoint{"/mcp", route::mcp, true, true},
  endpoint{"/healthz", route::healthz, false, false},
  endpoint{"/metrics", route::metrics, false, true},
};

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

refusal bad_request(std::string message) {
  return {status::bad_request, errc::invalid_request, std::move(message), {}};
}

// Without a port, the default port of the scheme is meant.
bool is_authority(std::string_view text, uint16_t port) {
  auto colon = text.rfind(':');
  auto host = text;
  uint16_t named = 80;
  if (colon != std::string_view::npos && !text.ends_with(']')) {
    host = text.substr(0, colon);
    const auto* end = text.data() + text.size();
    auto [last, failed] = std::from_chars(text.data() + colon + 1, end, named);
    if (failed != std::errc{} || last != end)
      return false;
  }
  return named == port && is_loopback_host(host);
}

// Accepts any port of this machine: the user may serve the page from there.
bool is_loopback_origin(std::string_view text) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme))
      continue;
    auto host = text.substr(scheme.size());
    auto colon = host.rfind(':');
    if (colon != std::string_view::npos && !host.ends_with(']')) {
      auto digits = host.substr(colon + 1);
      if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos)
        return false;
      host = host.substr(0, colon);
    }
    return is_loopback_host(host);
  }
  return false;
}

bool is_json(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t'))
    type.remove_suffix(1);
  return beast::iequals(beast::string_view{type.data(), type.size()}, "application/json");
}

bool has_body(const request_filter::header& head) {
  if (head.count(field::transfer_encoding) > 0)
    return true;
  auto length = view(head[field::content_length]);
  return !length.empty() && length != "0";
}

// If two servers disagree about where a body ends, a request can be smuggled past the first one (RFC 9112, 6).
std::optional<refusal> check_framing(const request_filter::header& head) {
  auto count = head.count(field::transfer_encoding);
  if (count == 0)
    return std::nullopt;
  if (head.count(field::content_length) > 0)
    return bad_request("Transfer-Encoding and Content-Length do not go together");
  if (count > 1 || head.version() < 11)
    return bad_request("Transfer-Encoding is given more than once, or in a version of HTTP without it");
  if (!beast::iequals(head[field::transfer_encoding], "chunked"))
    return refusal{status::not_implemented, errc::invalid_request, "the only Transfer-Encoding here is chunked", {}};
  return std::nullopt;
}

std::optional<refusal> check_method(const request_filter::header& head, const endpoint& to) {
  auto method = head.method();
  if (to.is_posted ? method == verb::post : method == verb::get || method == verb::head)
    return std::nullopt;
  return refusal{status::method_not_allowed,
                 errc::invalid_request,
                 fmt::format("{} takes {} only", to.path, to.is_posted ? "POST" : "GET"),
                 {{field::allow, to.is_posted ? "POST" : "GET, HEAD"}}};
}

std::optional<refusal> check_body(const request_filter::header& head, const endpoint& to) {
  if (!to.is_posted)
    return has_body(head) ? std::optional{bad_request("a GET has no body here")} : std::nullopt;
  if (!is_json(view(head[field::content_type])))
    return refusal{status::unsupported_media_type, errc::invalid_request, "the body must be application/json", {}};
  if (head.count(field::content_encoding) > 0 && !beast::iequals(head[field::content_encoding], "identity"))
    return refusal{status::unsupported_media_type, errc::invalid_request, "the body must not be compressed", {}};
  if (head.count(field::expect) > 0 && !beast::iequals(head[field::expect], "100-continue"))
    return refusal{status::expectation_failed, errc::invalid_request, "unknown expectation", {}};
  if (auto version = head.find("MCP-Protocol-Version"); to.to == route::mcp && version != head.end())
    if (!rpc::speaks_mcp(view(version->value())))
      return bad_request("unknown MCP-Protocol-Version");
  return std::nullopt;
}

} // namespace

bool is_loopback_host(std::string_view name) {
  if (beast::iequals(beast::string_view{name.data(), name.size()}, "localhost"))
    return true;
  boost::system::error_code failed;
  if (name.starts_with('[') && name.ends_with(']')) {
    auto v6 = boost::asio::ip::make_address_v6(std::string{name.substr(1, name.size() - 2)}, failed);
    return !failed && v6.is_loopback();
  }
  auto v4 = boost::asio::ip::make_address_v4(std::string{name}, failed);
  return !failed && v4.is_loopback();
}

response answer_to_refused(const refusal& refusal) {
  response result{refusal.status, 11};
  if (refusal.field)
    result.set(refusal.field->first, refusal.field->second);
  result.set(field::content_type, "application/json");
  nlohmann::json body{{"error", {{"code", to_string(refusal.code)}, {"message", refusal.message}}}};
  result.body() = body.dump() + "\n";
  return result;
}

std::optional<refusal> request_filter::check_sender(const header& head) const {
  if (head.count(field::host) != 1)
    return bad_request("exactly one Host is needed");
  if (!is_authority(view(head[field::host]), port_))
    return refusal{
      status::forbidden, errc::not_authorized, "Host must be a loopback name or address with our port", {}};
  auto [first, last] = head.equal_range(field::origin);
  for (; first != last; ++first)
    if (!is_loopback_origin(view(first->value())))
      return refusal{status::forbidden, errc::not_authorized, "pages of other origins are not served", {}};
  return std::nullopt;
}

std::string request_filter::token_of(const header& head) const { return find_token(head).value_or(std::string{}); }

// The name of the token; nothing without a valid one.
std::optional<std::string> request_filter::find_token(const header& head) const {
  constexpr std::string_view scheme = "Bearer ";
  if (head.count(field::authorization) != 1)
    return std::nullopt;
  auto text = view(head[field::authorization]);
  if (text.size() < scheme.size() || !beast::iequals({text.data(), scheme.size()}, {scheme.data(), scheme.size()}))
    return std::nullopt;
  text.remove_prefix(scheme.size());
  auto is_given = [&](const std::string& token) {
    return text.size() == token.size() && sodium_memcmp(text.data(), token.data(), token.size()) == 0;
  };
  if (is_given(token_))
    return std::string{};
  if (agents_)
    for (const auto& [name, token] : agents_())
      if (is_given(token))
        return name;
  return std::nullopt;
}

std::variant<route, refusal> request_filter::admit(const header& head) const {
  if (auto error = check_framing(head))
    return std::move(*error);
  if (auto error = check_sender(head))
    return std::move(*error);
  auto target = view(head.target());
  auto path = target.substr(0, target.find('?'));
  auto to = std::find_if(endpoints.begin(), endpoints.end(), [&](const auto& x) { return x.path == path; });
  if (to == endpoints.end())
    return refusal{status::not_found, errc::invalid_request, "there are /rpc, /mcp, /healthz and /metrics", {}};
  if (auto error = check_method(head, *to))
    return std::move(*error);
  // An agent sees nothing of others, as the metrics would show.
  auto token = to->needs_token ? find_token(head) : std::string{};
  if (!token || (!token->empty() && !to->is_posted))
    return refusal{status::unauthorized,
                   errc::not_authorized,
                   "the token is missing or wrong",
                   {{field::www_authenticate, "Bearer realm=\"sluice\""}}};
  if (auto error = check_body(head, *to))
    return std::move(*error);
  return to->to;
}

} // namespace sluice::http
