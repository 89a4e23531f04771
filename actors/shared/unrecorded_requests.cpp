#include "actors/shared/unrecorded_requests.hpp"

#include "actors/base/name_rules.hpp"
#include "actors/base/utf8_text.hpp"

#include <algorithm>
#include <string>

namespace sluice {

namespace {

// As long as the name of a database may be.
constexpr size_t max_db_bytes = 1'024;

// A name that leads out of the store must not appear among its databases in the audit.
bool may_be_database(std::string_view name) {
  if (name.size() > max_db_bytes || name.starts_with('/') || has_control(name) || !is_utf8(name))
    return false;
  for (size_t begin = 0; begin <= name.size();) {
    auto end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..")
      return false;
    begin = end + 1;
  }
  return true;
}

std::string name_or_nothing(const std::string& x) { return why_no_name(x) ? std::string{} : x; }

} // namespace

audit_record record_of(const unrecorded_request& x, std::string_view status, int64_t ts_us) {
  audit_record result;
  result.ts_us = ts_us;
  result.type = x.type;
  result.status = status;
  result.agent = x.agent.empty() || why_no_agent(x.agent) ? name_or_nothing(x.link_agent) : x.agent;
  if (may_be_database(x.db))
    result.db = x.db;
  result.request_id = name_or_nothing(x.request_id);
  result.correlation_id = name_or_nothing(x.correlation_id);
  result.peer = x.peer;
  result.count = x.count;
  return result;
}

} // namespace sluice
