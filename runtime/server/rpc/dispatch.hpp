#pragma once

#include "runtime/server/rpc/handler.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace sluice::rpc {

/// Takes one document of a client (a request, a notification or a batch), makes its calls on `to`, and gives `done` the
/// document to answer with, on one line: once, at once or later, empty when nothing is to be answered. Malformed input
/// is answered as JSON-RPC 2.0 has it; a batch of more than 1,000 calls is refused. `to` is used only until this
/// returns; it answers from the thread that this is called on.
void dispatch(std::string_view document, handler& to, std::function<void(std::string)> done);

} // namespace sluice::rpc
