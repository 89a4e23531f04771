#include "runtime/request_check.hpp"

#include "runtime/sqlite/utf8.hpp"

#include <algorithm>
#include <string>

namespace sluice {

namespace {

constexpr size_t max_name_bytes = 256;
constexpr size_t max_statements = 10'000;
constexpr std::chrono::hours max_deadline{24};

failure invalid(const std::string& field, const std::string& why) {
  failure x;
  x.code = errc::invalid_request;
  x.message = field + " " + why;
  return x;
}

// Names end up in the audit and on terminals.
std::optional<failure> check_name(const char* field, const std::string& name) {
  if (name.size() > max_name_bytes)
    return invalid(field, "has " + std::to_string(name.size()) + " bytes; at most 256 are allowed");
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), is_control))
    return invalid(field, "holds a control character");
  if (!sqlite::is_utf8(name))
    return invalid(field, "is not valid UTF-8");
  return std::nullopt;
}

template <class Request> std::optional<failure> check_names(Request& x) {
  if (x.agent.empty())
    x.agent = "anonymous";
  if (auto why = check_name("agent", x.agent))
    return why;
  if (auto why = check_name("request_id", x.request_id))
    return why;
  return check_name("correlation_id", x.correlation_id);
}

std::optional<failure> check_duration(const char* field, std::chrono::milliseconds x) {
  if (x.count() < 0 || x > max_deadline)
    return invalid(field, "must be between 0 (the default) and 86400000 milliseconds");
  return std::nullopt;
}

} // namespace

std::optional<failure> check(write_request& request) {
  if (auto why = check_names(request))
    return why;
  if (auto why = check_name("idempotency_key", request.idempotency_key))
    return why;
  if (auto why = check_duration("deadline_ms", request.deadline))
    return why;
  if (request.statements.empty())
    return invalid("statements", "is empty; a write needs at least one");
  if (request.statements.size() > max_statements)
    return invalid("statements", "has more than 10000 entries");
  return std::nullopt;
}

std::optional<failure> check(read_request& request) {
  if (auto why = check_names(request))
    return why;
  return check_duration("timeout_ms", request.limits.timeout);
}

} // namespace sluice
