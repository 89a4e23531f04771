#pragma once

#include "actors/base/clock.hpp"
#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <string>

namespace sluice::sqlite {

/// Reports idempotency keys that appear older than they are, and would therefore expire early, for people; empty if
/// there are none. The keys' clock never runs ahead of real time. Therefore the age of a key by that clock is at most
/// the age of its commit record, which has the wall clock's time and whose hash would reveal a change. Empty if commit
/// records show that the wall clock was set back. @pre `db` has a ledger
caf::expected<std::string> find_early_keys(const connection& db, const clock& time);

} // namespace sluice::sqlite
