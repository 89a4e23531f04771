#pragma once

#include "runtime/client/client.hpp"
#include "runtime/store/config.hpp"
#include "runtime/store/store_root.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace sluice {

/// A client for a folder that this process may not write. It reads the databases in this process, without a broker, and
/// therefore without cache and audit. Every other call fails with `errc::read_only`. Commit numbers are not known:
/// `as_of_seq` is 0, and `min_seq` is refused. The first read calls `warn`, which may be empty.
///
/// Reads of one database run one after the other. The wait for the others counts towards the time-out of a read, which
/// then ends with `errc::deadline_exceeded`, or with `errc::cancelled`. `read_async` returns at once: each call has a
/// thread of its own, up to 64 at a time; more are refused with `errc::overloaded`. The destructor cancels the running
/// reads and waits for their threads.
std::unique_ptr<client> make_read_only_client(store_root root, broker_config config,
                                              std::function<void(std::string_view)> warn);

} // namespace sluice
