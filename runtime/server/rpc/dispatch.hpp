#pragma once

#include "runtime/server/rpc/handler.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace sluice::rpc {

/// Takes one document of a client (a request, a notification or a batch), makes its calls on `to`, and passes the
/// answering document on one line to `done`: once, at once or later; empty when no answer is due. Malformed input is
/// answered as in JSON-RPC 2.0; a batch of more than 1,000 calls is refused. `to` is used only until this returns; it
/// answers in the thread of this call.
void dispatch(std::string_view document, handler& to, std::function<void(std::string)> done);

} // namespace sluice::rpc
