#include "runtime/server/requests_under_way.hpp"

namespace sluice {

namespace {

using sender = requests_under_way::sender;

bool is_same_connection(const sender& a, const sender& b) {
  return !a.from.owner_before(b.from) && !b.from.owner_before(a.from);
}

// HTTP clients, and clients whose process the kernel does not report, have no pid.
bool is_same_process(const sender& a, const sender& b) {
  return a.peer.pid != 0 && a.peer.pid == b.peer.pid && a.peer.uid == b.peer.uid;
}

} // namespace

requests_under_way::cancellation requests_under_way::cancel(std::string_view id, const sender& by,
                                                            bool as_operator) const {
  cancellation result;
  for (const auto& request : requests_) {
    if (request.id != id)
      continue;
    if (as_operator || is_same_connection(request.by, by) || is_same_process(request.by, by)
        || request.by.agent == by.agent) {
      request.cancel.cancel();
      result.connections.push_back(request.by.from);
    } else {
      result.others_left = true;
    }
  }
  return result;
}

} // namespace sluice
