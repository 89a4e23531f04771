#include "runtime/broker/admission_limits.hpp"

#include "messages/automatic_key.hpp"

#include <algorithm>

namespace sluice {

namespace {

// Zero stands for the default in a request, and for no limit in a rule.
template <class Number> Number reduced(Number wanted, Number usual, Number most) {
  if (most == Number{})
    return wanted;
  return std::min(wanted == Number{} ? usual : wanted, most);
}

} // namespace

// Keys that a client library generates are unique, and the ledger has no row for them.
void apply(const admission& admitted, const database_config& defaults, write_request& request) {
  request.deadline = reduced(request.deadline, defaults.write_deadline, admitted.limits.max_time);
  request.max_rows = static_cast<uint32_t>(admitted.limits.max_rows);
  request.key_is_own =
    admitted.is_named && !request.idempotency_key.empty() && !parse_automatic_key(request.idempotency_key);
}

void apply(const admission& admitted, const database_config& defaults, read_request& request) {
  auto& limits = request.limits;
  limits.timeout = reduced(limits.timeout, defaults.read_timeout, admitted.limits.max_time);
  limits.max_rows = reduced(limits.max_rows, defaults.read_max_rows, admitted.limits.max_rows);
}

std::optional<failure> why_no_cursor(const admission& admitted) {
  if (admitted.limits.max_rows == 0)
    return std::nullopt;
  return make_failure(errc::not_authorized,
                      "a cursor gives any number of rows, and the rule of this agent has max_rows; read with LIMIT");
}

} // namespace sluice
