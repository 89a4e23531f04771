#pragma once

#include "messages/audit.hpp"
#include "messages/buffer.hpp"
#include "messages/log.hpp"
#include "messages/read.hpp"
#include "messages/write.hpp"

#include <optional>

namespace sluice {

/// Checks everything that depends on the request alone, and fills in the agent's name if it is missing. Returns nothing
/// when the request is valid, else `invalid_request` naming the field. Values and SQL are checked when they are bound.
/// An agent's name may not begin with `sluice:`, and no name of an agent, request or correlation may contain a control
/// character (actors/base/name_rules.hpp); a key, a table's or a column's name may contain any character except C0
/// controls and DEL.
std::optional<failure> check(write_request& request);
std::optional<failure> check(read_request& request);

/// Checks a request to the write-behind buffer, as above; the table's schema is checked later. `too_large` when an
/// operation exceeds 1 MiB.
std::optional<failure> check(buffer_put& request);
std::optional<failure> check(buffer_get& request);
std::optional<failure> check(flush_request& request);
std::optional<failure> check(rejected_decision& request);

/// Checks a query of the audit or of the log: all text must be UTF-8.
std::optional<failure> check(const audit_query& query);
std::optional<failure> check(const log_query& query);

/// Refuses parameters that a JSON object cannot express: values by position and by name at once, or a name given twice.
/// `field` is their place, for the message.
std::optional<failure> check_as_json(const parameters& params, const std::string& field);

} // namespace sluice
