#include "runtime/broker/front_door_guard.hpp"

#include <utility>

namespace sluice {

caf::error front_door_guard::enter(std::function<void()> close) {
  std::lock_guard guard{mutex_};
  if (is_closed_)
    return make_error(errc::unavailable, "this broker has been shut down; open another one for the front door");
  if (is_entered_)
    return make_error(errc::invalid_request, "this broker has a front door already; use that one, or stop it first");
  is_entered_ = true;
  close_door_ = std::move(close);
  return {};
}

void front_door_guard::leave() {
  std::lock_guard guard{mutex_};
  is_entered_ = false;
  close_door_ = nullptr;
}

void front_door_guard::await_close() {
  std::unique_lock held{mutex_};
  done_.wait(held, [this] { return !is_closing_; });
}

void front_door_guard::close() {
  std::unique_lock held{mutex_};
  is_closed_ = true;
  done_.wait(held, [this] { return !is_closing_; });
  auto close_door = std::exchange(close_door_, nullptr);
  if (!close_door)
    return;
  is_closing_ = true;
  held.unlock();
  close_door();
  held.lock();
  is_closing_ = false;
  done_.notify_all();
}

} // namespace sluice
