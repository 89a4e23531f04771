#pragma once

#include "runtime/client/client.hpp"
#include "runtime/store/config.hpp"
#include "runtime/store/store_root.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace sluice {

/// A client that reads the databases of a folder in which nothing may be written: in this process, without a broker, so
/// without cache and audit. Everything but reading fails as `errc::read_only`. A commit number is not known:
/// `as_of_seq` is 0, and `min_seq` is refused. Reads of one database wait for each other, and `read_async` waits for
/// its answer. The first read reports this to `warn`, which may be empty.
std::unique_ptr<client> make_read_only_client(store_root root, broker_config config,
                                              std::function<void(std::string_view)> warn);

} // namespace sluice
