#pragma once

#include "actors/writer/write_store.hpp"
#include "messages/ledger.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/sqlite/core/answer_budget.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/store/config.hpp"

#include <filesystem>
#include <memory>

namespace sluice::sqlite {

/// The writer's store for the database file at `path`. Its ledger must match `known`, or it is refused
/// (`ledger_damaged`). The first `begin` opens the file, and creates it if it is missing. `begin` opens it again when
/// it was moved, replaced or deleted meanwhile (reported as an external commit) or when an error spoilt the connection.
///
/// `read_max_rows` and `read_max_bytes` of `config` bound the rows that a request's statements return; a request that
/// exceeds them fails as `errc::too_large` and is undone. `time`, which outlives the store, decides about deadlines and
/// the age of keys. The stores of one database share `files`; null creates a new one. `key_file` has the key that signs
/// the beginning of a ledger whose oldest records were removed; without it none are removed.
std::unique_ptr<write_store> make_write_store(std::filesystem::path path, const broker_config& config,
                                              const clock& time = machine_time(), ledger_standing known = {},
                                              std::shared_ptr<file_guard> files = nullptr,
                                              std::shared_ptr<answer_budget> answers = nullptr,
                                              std::filesystem::path key_file = {});

} // namespace sluice::sqlite
