#include "actors/shared/unrecorded_requests.hpp"

#include "actors/base/name_rules.hpp"
#include "actors/base/utf8_text.hpp"

#include <algorithm>
#include <string>

namespace sluice {

namespace {

// The maximum length of a database's name.
constexpr size_t max_db_bytes = 1'024;

// The audit must not list a name that leads out of the store as one of its databases.
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

std::string name_or_nothing(const std::string& name) { return name_error(name) ? std::string{} : name; }

} // namespace

audit_record record_of(const unrecorded_request& request, std::string_view status, int64_t ts_us) {
  audit_record result;
  result.ts_us = ts_us;
  result.type = request.type;
  result.status = status;
  result.agent =
    request.agent.empty() || agent_name_error(request.agent) ? name_or_nothing(request.link_agent) : request.agent;
  if (may_be_database(request.db))
    result.db = request.db;
  result.request_id = name_or_nothing(request.request_id);
  result.correlation_id = name_or_nothing(request.correlation_id);
  result.peer = request.peer;
  result.count = request.count;
  result.reason = request.reason;
  return result;
}

} // namespace sluice
