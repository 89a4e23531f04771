#pragma once

#include "messages/statement.hpp"
#include "runtime/sqlite/core/statement_cache.hpp"

#include <caf/error.hpp>

namespace sluice::sqlite {

/// Binds `params` to `prepared` without copying: they must not change until the statement is reset. Every parameter of
/// the statement must get a value, and every value a parameter; otherwise `errc::invalid_request` names the missing or
/// superfluous one. It also refuses NaN, which SQLite would store as NULL, and in a UTF-16 database text that SQLite
/// would change in the conversion (`fits_utf16`).
caf::error bind_parameters(cached_statement& prepared, const parameters& params);

} // namespace sluice::sqlite
