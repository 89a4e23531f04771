#pragma once

#include "actors/reader/read_store.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/sqlite/core/answer_budget.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/store/config.hpp"

#include <filesystem>
#include <functional>
#include <memory>

namespace sluice::sqlite {

/// A reader's store for the database file at `path`. The first `run` opens it read-only; it is opened again when the
/// path leads to another file or an error spoilt the connection. A file that is not a WAL database is read in its own
/// mode.
///
/// `run` refuses statements that write (`errc::invalid_request`). If a result exceeds a bound, the rows within the
/// bounds are returned, marked `truncated`. `time`, by which queries are interrupted, outlives the store. The stores of
/// one database share `files`; null creates a new one. The rows of an answer take their bytes from `answers` as long as
/// they exist; null creates a new budget by `config`. A read that finds it used up is refused (`errc::overloaded`).
///
/// A hot rollback journal, which a killed program left, is rolled back first; `on_recovery`, which may be empty, is
/// then called by the reader's thread. A WAL database in a read-only place is read as immutable, and read again if it
/// has changed nevertheless.
std::unique_ptr<read_store> make_read_store(std::filesystem::path path, const broker_config& config,
                                            const clock& time = machine_time(), std::function<void()> on_recovery = {},
                                            std::shared_ptr<file_guard> files = nullptr,
                                            std::shared_ptr<answer_budget> answers = nullptr);

} // namespace sluice::sqlite
