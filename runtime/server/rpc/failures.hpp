#pragma once

#include "messages/error.hpp"
#include "runtime/server/rpc/handler.hpp"

#include <string>
#include <string_view>
#include <utility>

/// Converts failures to errors of JSON-RPC; codec.hpp has the reverse (`failure_from_json`). Pure functions.
namespace sluice::rpc {

/// The field of `params` that the text of an `invalid_request` begins with or quotes as unknown, as
/// `statements[0].sql`; empty when it names none.
std::string named_field(std::string_view message);

/// `request_failed` with the failure's `as_json` as `data`. An error in a field of `params` is `invalid_params`, and
/// `data.field` names the field.
error error_of(const failure& failed);

/// One of JSON-RPC's own errors, with the `data` of an `invalid_request`, or of `internal` for `internal_error`.
error own_error(error_code code, std::string message);

/// `own_error` as a complete answer.
inline answer refused(error_code code, std::string reason) { return {nullptr, own_error(code, std::move(reason)), {}}; }

/// The error for a method that a handler does not have.
error unknown_method(std::string_view method);

} // namespace sluice::rpc
