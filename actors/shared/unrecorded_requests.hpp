#pragma once

#include "messages/audit.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace sluice {

/// The agent, type, database and ids of a request that no actor records.
template <class Request> unrecorded_request unrecorded(request_type type, std::string db, const Request& request) {
  unrecorded_request result;
  result.type = type;
  result.agent = request.agent;
  result.db = std::move(db);
  result.peer = request.peer;
  if constexpr (requires { request.correlation_id; }) {
    result.request_id = request.request_id;
    result.correlation_id = request.correlation_id;
  }
  return result;
}

/// The audit record of such a request. The record leaves out invalid names, so that it holds no terminal control
/// sequence and no database outside the root.
/// @param status "ok", or the name of an error code
/// @param ts_us microseconds since the Unix epoch
audit_record record_of(const unrecorded_request& request, std::string_view status, int64_t ts_us);

} // namespace sluice
