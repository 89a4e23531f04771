#include "actors/shared/flush_waker.hpp"

#include <exception>
#include <utility>

namespace sluice {

void flush_waker::set(function wake) {
  std::lock_guard guard{function_mutex_};
  wake_ = std::move(wake);
}

void flush_waker::wake_later() noexcept {
  {
    std::lock_guard guard{mutex_};
    auto now = time_->now();
    if (is_under_way_ || now < comes_at_)
      return;
    comes_at_ = now + interval_;
  }
  call(interval_);
}

void flush_waker::wake_now() noexcept {
  {
    std::lock_guard guard{mutex_};
    if (std::exchange(is_under_way_, true))
      return;
  }
  call(std::chrono::milliseconds{0});
}

void flush_waker::looked() noexcept {
  std::lock_guard guard{mutex_};
  is_under_way_ = false;
}

void flush_waker::forget() noexcept {
  std::lock_guard guard{mutex_};
  is_under_way_ = false;
  comes_at_ = {};
}

void flush_waker::close() { set(nullptr); }

void flush_waker::call(std::chrono::milliseconds delay) noexcept {
  try {
    std::lock_guard guard{function_mutex_};
    if (wake_)
      wake_(delay);
  } catch (const std::exception&) {
    // Memory was lacking for the message; the next entry sends another one.
    forget();
  }
}

} // namespace sluice
