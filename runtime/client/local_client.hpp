#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/client/client.hpp"

#include <memory>

namespace sluice {

/// A client of a broker in this process, which ends with it.
std::unique_ptr<client> make_local_client(broker leader);

} // namespace sluice
