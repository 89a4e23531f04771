#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/reply.hpp"
#include "messages/write.hpp"

#include <string_view>
#include <vector>

namespace sluice {

/// Whether a statement may change what a row that waits in the write-behind buffer means, or what writing it does:
/// ALTER, DROP, CREATE INDEX and CREATE TRIGGER. Looks at the leading keywords only. Pure.
bool may_change_schema(std::string_view sql) noexcept;

/// Whether a statement of the request may.
bool may_change_schema(const write_request& request) noexcept;

/// The requests that a writer holds back while the write-behind buffer has its rows written before a schema change:
/// that change, and everything that came after it, in order. Owned and called by the writer; needs no CAF to be tested.
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

  /// The earliest deadline of what is held back; `max` when there is none.
  clock::steady next_deadline() const;

  /// Those whose deadline has come, in order.
  std::vector<waiting> take_expired(clock::steady now);

  /// Lowers the barrier, and gives everything that is held back, in order.
  std::vector<waiting> lower();

private:
  bool is_up_ = false;
  std::vector<waiting> waiting_;
};

} // namespace sluice
