#pragma once

#include "messages/statement.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <span>
#include <string>

namespace sluice::sqlite {

/// The output of EXPLAIN QUERY PLAN for the statements, a line a step, steps of a step indented; nothing is executed. A
/// statement that cannot be explained is an error, as `prepared_statement::prepare` has it.
caf::expected<std::string> query_plan(const connection& db, std::span<const statement> statements);

} // namespace sluice::sqlite
