#include "actors/unrecorded_requests.hpp"

#include "actors/names.hpp"
#include "actors/utf8_text.hpp"

namespace sluice {

namespace {

// As long as the name of a database may be.
constexpr size_t max_db_bytes = 1'024;

std::string name_or_nothing(const std::string& x) { return why_no_name(x) ? std::string{} : x; }

} // namespace

audit_record record_of(const unrecorded_request& x, std::string_view status, int64_t ts_us) {
  audit_record result;
  result.ts_us = ts_us;
  result.type = x.type;
  result.status = status;
  result.agent = x.agent.empty() || why_no_agent(x.agent) ? name_or_nothing(x.link_agent) : x.agent;
  if (x.db.size() <= max_db_bytes && !has_control_character(x.db) && is_utf8(x.db))
    result.db = x.db;
  result.request_id = name_or_nothing(x.request_id);
  result.correlation_id = name_or_nothing(x.correlation_id);
  result.peer = x.peer;
  result.count = x.count;
  return result;
}

} // namespace sluice
