#pragma once

#include "actors/buffer/buffer_store.hpp"
#include "runtime/store/config.hpp"
#include "runtime/store/store_root.hpp"

#include <filesystem>
#include <memory>

namespace sluice::sqlite {

/// The write-behind buffer's file at `path`. Opens nothing yet: the file is made (0600, WAL) by the first call that
/// keeps something, and opened again after a failure that spoiled the connection. Calls that only read treat a missing
/// file as an empty one. If the file was moved or deleted while it was open, the journal is written anew with its whole
/// content; if only its `-wal` was, that is saved.
///
/// A call that succeeds is durable against the death of the process, with `synchronous_mode::full` also against a power
/// cut, at the price of an fsync for each call.
///
/// A damaged or invalid file is `errc::corrupt` to every call, one of another format `protocol_mismatch`; such a file
/// is never changed, because its rows were acknowledged. A single record that cannot be read blocks nothing: `recover`
/// moves it to the rejected rows, where it is listed as `errc::corrupt`. `take_rejected` refuses to take it (`corrupt`)
/// when it is named, and leaves it out when all rows are meant.
std::unique_ptr<buffer_store> open_buffer_store(std::filesystem::path path, synchronous_mode synchronous);

/// The store for the buffer file of `root`, with the durability that `config` requires.
std::unique_ptr<buffer_store> open_buffer_store(const store_root& root, const broker_config& config);

} // namespace sluice::sqlite
