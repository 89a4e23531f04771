#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/reply.hpp"
#include "messages/write.hpp"

#include <string_view>
#include <vector>

namespace sluice {

/// Whether a statement may change the meaning of a row in the write-behind buffer, or the effect of writing it: ALTER,
/// DROP, CREATE INDEX and CREATE TRIGGER. Checks the leading keywords only. Pure.
bool may_change_schema(std::string_view sql) noexcept;

/// Whether a statement of the request may do so.
bool may_change_schema(const write_request& request) noexcept;

/// The requests that a writer holds back while the write-behind buffer has its rows written before a schema change:
/// that change and all later requests, in order. Owned and called by the writer; needs no CAF to be tested.
class schema_barrier {
public:
  struct waiting {
    write_request request;
    reply<write_result> to;
    clock::steady deadline;
  };

  /// Whether requests are held back.
  bool is_up() const noexcept { return is_up_; }
  void raise() noexcept { is_up_ = true; }

  void hold(waiting request) { waiting_.push_back(std::move(request)); }

  /// The earliest deadline of the held requests; `max` when there is none.
  clock::steady next_deadline() const;

  /// Removes and returns the requests whose deadline has passed, in order.
  std::vector<waiting> take_expired(clock::steady now);

  /// Lowers the barrier, and returns all held requests in order.
  std::vector<waiting> lower();

private:
  bool is_up_ = false;
  std::vector<waiting> waiting_;
};

} // namespace sluice
