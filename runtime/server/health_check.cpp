#include "runtime/server/health_check.hpp"

#include <utility>

namespace sluice {

void health_check::ask(clock::steady now, then done) {
  if (waiting_.empty() && checked_at_ && now - *checked_at_ < max_age)
    return done(last_);
  waiting_.push_back(std::move(done));
  if (waiting_.size() > 1)
    return;
  checked_at_ = now;
  start_check_([this](result seen) {
    last_ = std::move(seen);
    for (auto& each : std::exchange(waiting_, {}))
      each(last_);
  });
}

} // namespace sluice
