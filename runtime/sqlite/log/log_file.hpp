#pragma once

#include "actors/log/log_store.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <memory>

namespace sluice::sqlite {

/// The log database `path`. The file is made (0600) by the first entry and opened when it is needed, again after every
/// failure and when it was removed; listing a missing file returns no entries.
///
/// It waits for no disk at each append: the loss of power may cost the last entries. A page of entries ends early,
/// though not empty, where it would have more than 8 MiB. Fails with `errc::corrupt` when the file is damaged, is no
/// log database or no file at all, with `protocol_mismatch` when it is of another format; otherwise as
/// `connection::open`.
std::unique_ptr<log_store> make_log_store(std::filesystem::path path);

} // namespace sluice::sqlite
