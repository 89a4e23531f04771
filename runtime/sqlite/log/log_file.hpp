#pragma once

#include "actors/log/log_store.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <memory>

namespace sluice::sqlite {

/// The log database `path`. The first entry creates the file (0600). It is opened when needed, and opened again after
/// every failure and when it was removed; listing a missing file returns no entries.
///
/// An append does not wait for the disk: a power cut may lose the last entries. A page of entries ends early, though
/// not empty, before it exceeds 8 MiB. Fails with `errc::corrupt` when the file is damaged, is no log database or no
/// file at all, with `protocol_mismatch` when it has another format; otherwise as `connection::open`.
std::unique_ptr<log_store> make_log_store(std::filesystem::path path);

} // namespace sluice::sqlite
