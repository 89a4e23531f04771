#pragma once

#include "runtime/catalogue/typed_operation.hpp"
#include "runtime/client/client.hpp"

namespace sluice {

/// The operation `name` of the client's store, for `open_operation`; asks the broker. `errc::unknown_operation` when
/// there is none, else as `client::call`.
caf::expected<found_operation> find_operation(client& store, const std::string& name);

} // namespace sluice
