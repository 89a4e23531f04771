#pragma once

#include "messages/statement.hpp"
#include "runtime/sqlite/core/statement_cache.hpp"

#include <caf/error.hpp>

namespace sluice::sqlite {

/// Binds `params` to `prepared` without copying: they stay as they are until the statement is reset. Every parameter of
/// the statement gets a value, and every value a parameter; otherwise `errc::invalid_request` names what is missing or
/// superfluous. So it does for NaN, which SQLite would store as NULL, and in a UTF-16
/// database for text that SQLite would change on its way there (`fits_utf16`).
caf::error bind_parameters(cached_statement& prepared, const parameters& params);

} // namespace sluice::sqlite
