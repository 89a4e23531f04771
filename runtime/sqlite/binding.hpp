#pragma once

#include "messages/statement.hpp"
#include "runtime/sqlite/statement_cache.hpp"

#include <caf/error.hpp>

namespace sluice::sqlite {

/// Binds `params` to `x` without copying: they stay as they are until the statement is reset. Every parameter of the
/// statement gets a value, and every value a parameter; otherwise `errc::invalid_request` names what is missing or
/// superfluous. So it does for NaN, which SQLite would store as NULL, and for text that is not UTF-8.
caf::error bind_parameters(cached_statement& x, const parameters& params);

} // namespace sluice::sqlite
