#pragma once

#include "messages/write.hpp"
#include "runtime/sqlite/core/statement_cache.hpp"

#include <caf/error.hpp>

#include <vector>

namespace sluice::sqlite {

/// Binds the parameters of a statement with terms: its own values, and those that earlier statements have returned.
/// Called by the connection's thread.
///
/// `errc::sql_error` when the columns of the statement are not the declared ones, or when an earlier statement has no
/// such column; `conflict` when it returned no row or several; otherwise as `bind_parameters`.
/// @param results those of the request until now; the last one is of this statement, and has no rows yet
/// @param kept gets the values if there are returned ones; like `source`, it must not change until the statement has
/// been reset, because SQLite does not copy what is bound
/// @pre `source.terms`, which take values only from earlier statements
caf::error bind_on_terms(const statement& source, cached_statement& prepared,
                         const std::vector<statement_result>& results, parameters& kept);

} // namespace sluice::sqlite
