#include "runtime/client/leader_link.hpp"

#include <unistd.h>

namespace sluice {

using std::chrono::steady_clock;

leader_link::leader_link(election how, descriptor connection, leading lead, silence_policy silence)
  : how_(std::move(how)), lead_(std::move(lead)), silence_(std::move(silence)),
    owner_(getpid()), place_{std::make_shared<channel>(std::move(connection), meant_root(), silence_), nullptr} {}

caf::expected<leader_link::place> leader_link::get(time_point limit) {
  // The connection would be shared with the parent, and both would take the other's answers.
  if (is_forked())
    return make_error(errc::invalid_request, "a client cannot be used by a forked process; open one there");
  std::unique_lock held{mutex_};
  for (;;) {
    if (stopped_)
      return make_error(errc::unavailable, "the client is being closed");
    auto via = place_.via;
    if (place_.here || (via && !via->lost() && !via->draining()))
      return place_;
    if (via && !via->lost()) {
      // Its successor can only lead when it is gone.
      held.unlock();
      auto gone = via->await_loss(limit);
      held.lock();
      if (!gone)
        return make_error(errc::unavailable, "the leader is stepping down, and has not gone yet");
    } else if (search_) {
      auto other = search_;
      if (!found_.wait_until(held, limit, [&] { return other->over; }))
        return make_error(errc::busy, "no leader has been found yet");
      if (other->failed && code_of(*other->failed) != errc::busy && code_of(*other->failed) != errc::unavailable)
        return *other->failed;
      if (other->failed && steady_clock::now() >= limit)
        return *other->failed;
    } else {
      search_ = std::make_shared<search>();
      held.unlock();
      auto found = find(limit);
      held.lock();
      if (found)
        place_ = std::move(*found);
      else
        search_->failed = found.error();
      search_->over = true;
      search_.reset();
      found_.notify_all();
      if (!found)
        return std::move(found.error());
    }
  }
}

std::shared_ptr<channel> leader_link::live() {
  std::lock_guard held{mutex_};
  auto& via = place_.via;
  return via && !via->lost() && !via->draining() && !is_forked() ? via : nullptr;
}

std::shared_ptr<client> leader_link::here() {
  std::lock_guard held{mutex_};
  return place_.here;
}

void leader_link::stop() {
  std::lock_guard held{mutex_};
  stopped_ = true;
  if (place_.via)
    place_.via->close();
}

caf::expected<leader_link::place> leader_link::find(time_point limit) {
  for (;;) {
    auto found = find_leader(how_, limit, &stopped_);
    if (!found && code_of(found.error()) == errc::deadline_exceeded)
      return make_error(errc::unavailable, describe(found.error()).message);
    if (!found)
      return std::move(found.error());
    if (found->connection)
      return place{std::make_shared<channel>(std::move(found->connection), meant_root(), silence_), nullptr};
    auto here = lead_(std::move(*found));
    if (here)
      return place{nullptr, std::move(*here)};
    if (code_of(here.error()) != errc::busy || steady_clock::now() >= limit || stopped_)
      return std::move(here.error());
  }
}

std::optional<file_identity> leader_link::meant_root() const {
  return how_.root ? std::optional{how_.root->identity()} : std::nullopt;
}

bool leader_link::is_forked() const noexcept { return getpid() != owner_; }

} // namespace sluice
