#pragma once

#include "messages/statement.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <span>
#include <string>

namespace sluice::sqlite {

/// The output of EXPLAIN QUERY PLAN for the statements, one line per step, indented by level; executes nothing. A
/// statement that cannot be explained is an error, as in `prepared_statement::prepare`.
caf::expected<std::string> query_plan(const connection& db, std::span<const statement> statements);

} // namespace sluice::sqlite
