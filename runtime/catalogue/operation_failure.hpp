#pragma once

#include "messages/error.hpp"
#include "messages/read.hpp"
#include "runtime/catalogue/operation.hpp"

#include <optional>

namespace sluice {

/// The failure of a call for its caller, who has sent no statements: names the operation, its statement with file and
/// line, and the set of arguments of a `:batch` call. Failures that are about another field of the call are unchanged.
/// Pure; safe from any thread.
failure failure_of_call(const operation& of, failure reason);

/// The failure when the rows have other columns than the operation declares. Pure; safe from any thread.
std::optional<failure> unfit_rows(const operation& of, const read_result& result);

} // namespace sluice
