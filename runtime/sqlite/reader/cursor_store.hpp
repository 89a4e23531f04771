#pragma once

#include "actors/cursors/cursor_store.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/sqlite/core/answer_budget.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/store/config.hpp"

#include <filesystem>
#include <functional>
#include <memory>

namespace sluice::sqlite {

/// A cursor over `query` on the database file at `path`; the first `next` opens the file, and the last page or the
/// destructor closes it. `time`, `on_recovery`, `files` and `answers` as in `make_read_store`. It keeps fewer database
/// pages in memory than a reader, because it reads most of them only once.
std::unique_ptr<cursor_store> make_cursor_store(std::filesystem::path path, statement query,
                                                const broker_config& config, const clock& time = machine_time(),
                                                std::function<void()> on_recovery = {},
                                                std::shared_ptr<file_guard> files = nullptr,
                                                std::shared_ptr<answer_budget> answers = nullptr);

} // namespace sluice::sqlite
