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

/// A reader's store for the database file at `path`. Opened read-only by the first `run`, and anew when the path leads
/// to another file than before or an error spoilt the connection. A file that is not a WAL database is read in its own
/// mode.
///
/// `run` refuses statements that write (`errc::invalid_request`). Of a result that passes a bound, the rows within the
/// bounds are returned, marked `truncated`. `time`, by which queries are interrupted, outlives the store. The stores of
/// one database share `files`; null makes an own one. The rows of an answer take their bytes from `answers` for as long
/// as they are there; null makes an own one by `config`. A read that finds it used up is refused (`errc::overloaded`).
///
/// A hot rollback journal, which a killed program left, is rolled back first; `on_recovery`, which may be empty, is
/// called when that was done, by the reader's thread. A WAL database in a place where nothing may be written is read as
/// immutable, and again when it has changed all the same.
std::unique_ptr<read_store> make_read_store(std::filesystem::path path, const broker_config& config,
                                            const clock& time = machine_time(), std::function<void()> on_recovery = {},
                                            std::shared_ptr<file_guard> files = nullptr,
                                            std::shared_ptr<answer_budget> answers = nullptr);

} // namespace sluice::sqlite
