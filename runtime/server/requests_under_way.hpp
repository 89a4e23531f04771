#pragma once

#include "messages/cancel_token.hpp"
#include "messages/write.hpp"

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

class broker_handler;

/// The unanswered reads and writes of all clients, so that they can be cancelled. Used by one thread.
class requests_under_way {
public:
  /// The sender of a request, or of a `cancel`.
  struct sender {
    std::string agent;
    peer_identity peer{};
    /// The connection.
    std::weak_ptr<broker_handler> from{};
  };

  struct request {
    std::string id;
    sender by;
    cancel_token cancel;
  };

  using entry = std::list<request>::iterator;

  struct cancellation {
    /// The connections whose requests were cancelled; empty if none was.
    std::vector<std::weak_ptr<broker_handler>> connections;
    /// There are requests with that id that `by` may not cancel.
    bool others_left = false;
  };

  /// Valid until `remove`.
  entry add(request request) { return requests_.insert(requests_.end(), std::move(request)); }
  void remove(entry entry) { requests_.erase(entry); }

  /// Cancels the requests with this id that `by` may cancel: those of its connection, of its process, and of its agent;
  /// `as_operator`, all of them. Searches all requests under way, so that requests that are not cancelled cost little.
  cancellation cancel(std::string_view id, const sender& by, bool as_operator) const;

private:
  std::list<request> requests_;
};

} // namespace sluice
