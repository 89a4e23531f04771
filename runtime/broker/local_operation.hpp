#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/catalogue/typed_operation.hpp"

namespace sluice {

/// The operation `name` of the broker's store, for `open_operation`. Reads the operation files, so keep what you have
/// opened. For plain threads. `errc::unknown_operation` when there is none, else as `load_catalogue` and
/// `broker::open_database`.
caf::expected<found_operation> find_operation(broker& leader, const std::string& name);

} // namespace sluice
